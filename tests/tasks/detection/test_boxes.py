"""Anchors and deltas against the formulas, one box at a time."""

import math

import pytest
import torch

from hrnet_fast.tasks.detection.boxes import MOST_GROWTH, anchors, moved

CPU = torch.device("cpu")


def test_anchors_lie_around_their_places_row_by_row():
    found = anchors((2, 3), 16, CPU).double()
    assert found.shape == (2 * 3 * 3, 4)
    for index, (x1, y1, x2, y2) in enumerate(found.tolist()):
        row, column, ratio = index // 9, index // 3 % 3, (0.5, 1.0, 2.0)[index % 3]
        assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((16 * column, 16 * row))
        assert (y2 - y1) / (x2 - x1) == pytest.approx(ratio)
        assert (x2 - x1) * (y2 - y1) == pytest.approx((8 * 16) ** 2, rel=1e-6)  # the numbers are float32


def test_deltas_move_centres_by_sides_and_scale_sides_by_powers_of_e():
    box = torch.tensor([[10.0, 20.0, 30.0, 60.0]])  # 20 x 40 around (20, 40)
    deltas = torch.tensor([[0.1, -0.2, math.log(2), math.log(0.5), 0.0, 0.0, 0.0, 0.0]])
    first, second = moved(box, deltas, (1000, 1000))[0].tolist()
    assert first == pytest.approx([22 - 20, 32 - 10, 22 + 20, 32 + 10])
    assert second == [10, 20, 30, 60]


def test_deltas_have_units():
    box, deltas = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[1.0, 2.0, 3.0, -4.0]])
    unit = (0.1, 0.1, 0.2, 0.2)
    assert torch.equal(moved(box, deltas, (99, 99), unit), moved(box, deltas * torch.tensor(unit), (99, 99)))


def test_boxes_end_at_the_pictures_border():
    box = torch.tensor([[-50.0, -60.0, 500.0, 400.0]])
    assert moved(box, torch.zeros(1, 4), (30, 40))[0, 0].tolist() == [0, 0, 40, 30]


@pytest.mark.parametrize("sign", [1, -1])
def test_growth_is_bounded(sign):
    box, deltas = torch.tensor([[500.0, 500.0, 501.0, 501.0]]), torch.tensor([[0.0, 0.0, sign * 1e4, sign * 1e4]])
    x1, y1, x2, y2 = moved(box, deltas, (1000, 1000))[0, 0].double().tolist()
    assert (x2 - x1, y2 - y1) == pytest.approx((math.exp(sign * MOST_GROWTH),) * 2, rel=2e-3)  # float32 at 500

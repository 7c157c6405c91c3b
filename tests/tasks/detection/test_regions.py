"""What test_golden.py leaves out: no regions at all, ties with the threshold, and classes that do not suppress each
other."""

import pytest
import torch

from hrnet_fast.models.faster_rcnn import BBoxHead
from hrnet_fast.tasks.detection.regions import classify, cut_out, propose

SIZES = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 1)]


def maps(channels: int, value: float = 0.0) -> list[torch.Tensor]:
    return [torch.full((channels, *size), value) for size in SIZES]


def answers(probabilities: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and deltas of a box head that leaves the regions where they are."""
    logits = torch.tensor(probabilities).log()
    return logits, torch.zeros(len(logits), 4 * (logits.shape[1] - 1))


def found(probabilities, regions, **options):
    options = {"threshold": 0.05, "iou_threshold": 0.5, "most": 100, **options}
    return classify(*answers(probabilities), torch.tensor(regions), (100, 100), (1.0, 1.0), **options)


def test_boxes_that_collapse_at_the_border_are_no_proposals():
    deltas = maps(12)
    for level in deltas:
        level[0::4] = -1e3  # far to the left of the picture
    regions = propose(maps(3), deltas, (64, 96))
    assert regions.shape == (0, 4)
    features = cut_out([torch.zeros(1, 2, *size) for size in SIZES[:4]], regions)
    assert features.shape == (0, 2, 7, 7)
    logits, deltas = BBoxHead(2, 5, 8)(features)
    boxes = classify(logits, deltas, regions, (64, 96), (1.0, 1.0), threshold=0.05, iou_threshold=0.5, most=100)
    assert (boxes.corners.shape, boxes.scores.shape, boxes.classes.shape) == ((0, 4), (0,), (0,))


def test_proposals_of_a_level_suppress_each_other_and_no_others():
    logits = maps(3, -9.0)
    for level in (0, 2):
        logits[level][1] = 9.0
    regions = propose(logits, maps(12), (64, 96))
    sides = (regions[:, 2:] - regions[:, :2]).amax(1)
    assert 0 < len(regions) <= 1000 and len(set(sides.tolist())) > 1
    assert ((regions >= 0) & (regions <= torch.tensor([96.0, 64.0, 96.0, 64.0]))).all()


def test_features_are_of_the_map_that_fits_the_regions_size():
    levels = [torch.full((1, 1, 256 >> level, 256 >> level), float(level)) for level in range(4)]
    regions = torch.tensor([[300.0, 300.0, 300.0 + side, 300.0 + side] for side in (8, 111, 112, 223, 224, 447, 448)])
    features = cut_out(levels, regions)
    assert features.shape == (7, 1, 7, 7)
    assert features.flatten(1).mean(1).tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert cut_out(levels, torch.tensor([[0.0, 0.0, 1000.0, 1000.0]])).unique().tolist() == [3]


def test_a_class_suppresses_its_own_alone():
    near = [[10.0, 10.0, 50.0, 50.0], [11.0, 11.0, 51.0, 51.0]]
    boxes = found([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], near)
    assert boxes.classes.tolist() == [0, 1] and boxes.scores.tolist() == pytest.approx([0.7, 0.4])
    assert boxes.corners.tolist() == near
    assert len(found([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], near, iou_threshold=0.95).scores) == 4


def test_the_background_is_no_class_and_the_least_likely_go_first():
    far = [[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0], [40.0, 40.0, 50.0, 50.0]]
    probabilities = [[0.04, 0.96], [0.3, 0.7], [0.6, 0.4]]
    assert found(probabilities, far).scores.tolist() == pytest.approx([0.6, 0.3])
    assert found(probabilities, far, most=1).scores.tolist() == pytest.approx([0.6])
    assert found(probabilities, far, threshold=0.0).scores.tolist() == pytest.approx([0.6, 0.3, 0.04])


def test_boxes_are_given_in_the_pictures_own_pixels():
    regions = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    logits, deltas = answers([[0.9, 0.1]])
    boxes = classify(logits, deltas, regions, (100, 100), (2.0, 4.0), threshold=0.05, iou_threshold=0.5, most=100)
    assert boxes.corners.tolist() == [[5, 5, 15, 15]]


def test_features_are_the_same_however_many_threads_cut_them_out(monkeypatch):
    random = torch.Generator().manual_seed(0)
    levels = [torch.randn(1, 3, 128 >> level, 128 >> level, generator=random) for level in range(4)]
    low, sides = torch.rand(150, 2, generator=random) * 400, torch.rand(150, 2, generator=random) ** 2 * 500 + 1
    regions = torch.cat((low, low + sides), 1)
    several = cut_out(levels, regions)
    monkeypatch.setattr("hrnet_fast.tasks.detection.regions.PIECE", 1000)
    assert torch.equal(several, cut_out(levels, regions))

"""Boxes as callers give them."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.boxes import read_boxes

SIZE = (40, 60)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 3, 4]],
        np.array([[1, 2, 3, 4]], np.float32),
        torch.tensor([[1, 2, 3, 4]]),
        torch.tensor([[1, 2, 3, 4]]).to_sparse(),
        [(1, 2, 3, 4, 1)],
        [torch.tensor([1, 2, 3, 4])],
    ],
    ids=["list", "array", "tensor", "sparse", "scored", "list of tensors"],
)
def test_boxes_come_in_many_forms(rows):
    got, scores = read_boxes(rows, SIZE)
    assert got.tolist() == [[1, 2, 3, 4]] and scores.tolist() == [1]
    assert got.dtype == scores.dtype == torch.float64


def test_a_box_may_pass_the_border():
    rows = [[-5, -5, 6, 6], [59.5, 39.5, 100, 100]]
    assert read_boxes(rows, SIZE)[0].tolist() == rows


@pytest.mark.parametrize("rows", [[], np.zeros((0, 4)), torch.zeros(0, 5)], ids=["list", "array", "tensor"])
def test_no_boxes_are_no_boxes(rows):
    assert read_boxes(rows, SIZE)[0].shape == (0, 4)


BAD = {
    "one-row": ([1, 2, 3, 4], "boxes have shape (4,); N rows of x, y, width, height, and a score or none, are needed"),
    "ragged": ([[1, 2], [3]], "boxes must be an array of N rows x, y, width, height: "),
    "nan": ([[1, 2, 3, 4], [1, 2, 3, np.nan]], "box 1, [1.0, 2.0, 3.0, nan], holds numbers that are not finite"),
    "infinite": ([[1, 2, np.inf, 4]], "box 0, [1.0, 2.0, inf, 4.0], holds numbers that are not finite"),
    "no-area": (
        [[1, 2, 0, 4]],
        "box 0, [1.0, 2.0, 0.0, 4.0], has no area: width and height must be above 0 (boxes are x, y, width, height)",
    ),
    "turned": (
        [[9, 9, -3, 4]],
        "box 0, [9.0, 9.0, -3.0, 4.0], has no area: width and height must be above 0 (boxes are x, y, width, height)",
    ),
    "right-of-it": ([[60, 2, 3, 4]], "box 0, [60.0, 2.0, 3.0, 4.0], lies outside the picture of 60 x 40 pixels"),
    "above-it": ([[1, 2, 3, 4], [1, -9, 3, 9]], "box 1, [1.0, -9.0, 3.0, 9.0], lies outside the picture of 60 x 40"),
    "too large": ([[1, 2, 10**400, 4]], "boxes must be an array of N rows x, y, width, height: int too large"),
    "words": ("people.json", "boxes must be an array of N rows x, y, width, height: "),
}


@pytest.mark.parametrize(("rows", "sentence"), BAD.values(), ids=BAD)
def test_bad_boxes_get_one_sentence(rows, sentence):
    with pytest.raises(ValueError) as caught:
        read_boxes(rows, SIZE)
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)
    if sentence.startswith("box "):  # the last one
        assert read_boxes(rows, SIZE, drop=True)[0].tolist() == rows[:-1]

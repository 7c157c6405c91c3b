"""Boxes of people and faces, as a caller gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

# A result's `box_source`: the caller; the detector; neither, so that the whole picture is taken; or, where none is
# needed, what was found.
GIVEN, DETECTOR, IMAGE, KEYPOINTS = "given", "detector", "image", "keypoints"

Boxes: TypeAlias = Tensor | np.ndarray | Sequence[Tensor | np.ndarray | Sequence[float]]  # as `read_boxes` takes them


def read_boxes(boxes: Boxes, size: Sequence[int], *, drop: bool = False) -> tuple[Tensor, Tensor]:
    """Boxes and their scores from an array, tensor or list: (N, 4) and (N,), both float64 on the CPU.

    boxes: N rows of x, y, width, height in pixels, as COCO's, and optionally a score, 1 if it is left out. A box may
        pass the picture's border; N may be 0.
    size: (height, width) of the picture. drop: leave out the boxes that no crop can be made of, as a detector may find
        some, instead of refusing them.
    Errors: ValueError for another shape, and, by its index, for a box whose numbers are not finite, that has no area or
        that lies outside the picture.
    """
    if isinstance(boxes, (list, tuple)):  # torch takes a list of lists or arrays, but none of tensors
        boxes = [row.tolist() if isinstance(row, Tensor) else row for row in boxes]
    try:
        rows = torch.as_tensor(boxes, dtype=torch.float64, device="cpu").detach().to_dense()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"boxes must be an array of N rows x, y, width, height: {error}") from None
    if rows.numel() == 0:
        rows = rows.reshape(0, 5)
    if rows.dim() != 2 or rows.shape[1] not in (4, 5):
        raise ValueError(
            f"boxes have shape {tuple(rows.shape)}; N rows of x, y, width, height, and a score or none, are needed"
        )
    faults = _faults(rows, size)
    if drop:
        rows = rows[~torch.stack([bad for bad, _ in faults]).any(0)]
    else:
        for bad, why in faults:
            _refuse(bad, rows, why)
    scores = rows[:, 4] if rows.shape[1] == 5 else torch.ones(len(rows), dtype=torch.float64, device="cpu")
    return rows[:, :4], scores


def _faults(rows: Tensor, size: Sequence[int]) -> list[tuple[Tensor, str]]:
    """What a box may not be: which of the N are, (N,) bool, and how a sentence says so."""
    low, sides, (height, width) = rows[:, :2], rows[:, 2:4], size
    outside = (low >= torch.tensor((width, height), device="cpu")) | (low + sides <= 0)
    return [
        (~rows.isfinite().all(1), "holds numbers that are not finite"),
        ((sides <= 0).any(1), "has no area: width and height must be above 0 (boxes are x, y, width, height)"),
        (outside.any(1), f"lies outside the picture of {width} x {height} pixels"),
    ]


def _refuse(bad: Tensor, rows: Tensor, why: str) -> None:
    if bad.any():
        index = int(bad.nonzero()[0])
        raise ValueError(f"box {index}, {rows[index].tolist()}, {why}")

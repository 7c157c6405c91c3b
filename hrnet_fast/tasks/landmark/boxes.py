"""Boxes of faces, and the squares that are cut out for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

SCALE = 1.25  # lib/datasets/wflw.py (and the other three): scale *= 1.25


class Square(NamedTuple):
    """x, y: its centre. side: its length. All in pixels of the picture."""

    x: float
    y: float
    side: float


def check_boxes(
    boxes: Any,  # N boxes: anything that torch.as_tensor takes
    height: int,
    width: int,
) -> list[tuple[float, float, float, float]]:
    """Boxes (x, y, width, height) in pixels, as COCO's; they may pass the picture's border.

    Errors: ValueError for another shape, and for a box that is empty, not finite or outside the picture, by its index.
    """
    tensor = torch.as_tensor(boxes, dtype=torch.float64)
    if tensor.numel() == 0:
        return []
    if tensor.dim() != 2 or tensor.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4): x, y, width, height; these are {tuple(tensor.shape)}")
    checked = [tuple(box) for box in tensor.tolist()]
    for index, (x, y, w, h) in enumerate(checked):
        if not all(map(math.isfinite, (x, y, w, h))):
            raise ValueError(f"box {index} is {[x, y, w, h]}; its numbers must be finite")
        if w <= 0 or h <= 0:
            raise ValueError(f"box {index} is {w:g} wide and {h:g} high, so it holds no face")
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise ValueError(f"box {index}, {[x, y, w, h]}, lies outside the picture of {width} x {height} pixels")
    return checked


def square_of(box: Sequence[float]) -> Square:
    """The square around a box's centre whose side is 1.25 times the box's longer one.

    Source: `scale` (max(width, height) / 200) and `center` of the official lists, and lib/datasets/wflw.py.
    """
    x, y, w, h = box
    return Square(x + w / 2, y + h / 2, SCALE * max(w, h))


def box_of_points(
    points: Tensor,  # (L, 2)
) -> tuple[float, float, float, float]:
    """The box of whole pixels around points, as lib/datasets/cofw.py makes it and the official lists hold it."""
    low, high = points.amin(0).floor().tolist(), points.amax(0).ceil().tolist()
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def box_of_center(x: float, y: float, scale: float) -> tuple[float, float, float, float]:
    """The square box that the official lists give by its centre and its side / 200 (lib/utils/transforms.py)."""
    side = 200 * scale
    return x - side / 2, y - side / 2, side, side

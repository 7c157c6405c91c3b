"""Boxes of faces, and the squares that are cut out for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

SCALE = 1.25  # lib/datasets/wflw.py (and the other three): scale *= 1.25


class Square(NamedTuple):
    """x, y: its centre. side: its length. All in pixels of the picture."""

    x: float
    y: float
    side: float


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

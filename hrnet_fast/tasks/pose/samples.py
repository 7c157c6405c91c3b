"""What the readers of data sets yield."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True, eq=False)
class PoseSample:
    """A picture and its people.

    image: the file. image_id: what the data set calls it. boxes: (N, 4) float64 x, y, width, height in pixels; N may
    be 0. box_scores: (N,) float64.
    """

    image: Path
    image_id: int
    boxes: Tensor
    box_scores: Tensor

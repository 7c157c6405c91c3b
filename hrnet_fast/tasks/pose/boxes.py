"""Person boxes: checked, and widened to the part of the picture that the network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# lib/dataset/coco.py, _xywh2cs: what is added around a box, so that no limb is cut off
PADDING = 1.25


def read_boxes(boxes: Any) -> tuple[Tensor, Tensor]:
    """Boxes and their scores from an array, tensor or list: (N, 4) and (N,), both float64 on the CPU.

    boxes: N rows of x, y, width, height in pixels, as COCO's, and optionally a score, 1 if it is left out. A box may
        lie across or outside the picture's border; N may be 0.
    Errors: ValueError for another shape, for numbers that are not finite, and for boxes without area, by their index.
    """
    try:
        rows = torch.as_tensor(boxes, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"boxes must be an array of N rows x, y, width, height: {error}") from None
    if rows.numel() == 0:
        rows = rows.reshape(0, 5)
    if rows.dim() != 2 or rows.shape[1] not in (4, 5):
        raise ValueError(
            f"boxes have shape {tuple(rows.shape)}; N rows of x, y, width, height, and a score or none, are needed"
        )
    if not rows.isfinite().all():
        index = int(rows.isfinite().all(1).logical_not().nonzero()[0])
        raise ValueError(f"box {index}, {rows[index].tolist()}, holds numbers that are not finite")
    flat = (rows[:, 2:4] <= 0).any(1)
    if flat.any():
        index = int(flat.nonzero()[0])
        raise ValueError(
            f"box {index}, {rows[index].tolist()}, has no area: width and height must be above 0 "
            "(boxes are x, y, width, height)"
        )
    scores = rows[:, 4] if rows.shape[1] == 5 else torch.ones(len(rows), dtype=torch.float64)
    return rows[:, :4], scores


@dataclass(frozen=True)
class Regions:
    """The N parts of a picture that are cut out for the network, in its pixels.

    centers, sizes: (N, 2) float64 on the CPU: x, y and width, height. The official code's `scale` is sizes / 200.
    """

    centers: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.centers)

    def __getitem__(self, part: slice) -> Regions:
        return Regions(self.centers[part], self.sizes[part])

    @property
    def areas(self) -> Tensor:  # (N,) square pixels
        return self.sizes.prod(1)


def regions_of(boxes: Tensor, aspect: float, padding: float = PADDING) -> Regions:
    """Boxes (N, 4), made as wide or as high as `aspect` (width / height) asks, then `padding` times as large.

    lib/dataset/coco.py, _xywh2cs; mmpose's TopdownAffine does the same.
    """
    centers = boxes[:, :2] + boxes[:, 2:] * 0.5
    width, height = boxes[:, 2], boxes[:, 3]
    sizes = torch.stack((torch.maximum(width, height * aspect), torch.maximum(height, width / aspect)), 1)
    return Regions(centers, sizes * padding)

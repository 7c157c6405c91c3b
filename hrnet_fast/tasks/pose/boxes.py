"""Person boxes, widened to the part of the picture that the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# lib/dataset/coco.py, _xywh2cs: what is added around a box, so that no limb is cut off
PADDING = 1.25


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

    @staticmethod
    def joined(parts: Sequence[Regions]) -> Regions:
        return Regions(torch.cat([part.centers for part in parts]), torch.cat([part.sizes for part in parts]))

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

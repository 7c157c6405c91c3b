"""What a segmenter says of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .classes import ClassSet


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The class of every pixel.

    labels: (H, W) uint8, at the picture's own size, on the network's device: an index into `classes.names`.
    """

    labels: Tensor
    classes: ClassSet

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classes.names

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """RGB of each class."""
        return self.classes.palette

    def mask(self) -> Tensor:  # (H, W, 3) uint8 RGB, on the labels' device
        """The labels in the data set's colours."""
        return self.classes.colours().to(self.labels.device)[self.labels.int()]

    def areas(self) -> dict[str, int]:
        """Pixels of each class that occurs, the largest first."""
        counts = torch.bincount(self.labels.flatten(), minlength=len(self.classes)).tolist()
        areas = {name: count for name, count in zip(self.classes.names, counts) if count}
        return dict(sorted(areas.items(), key=lambda item: -item[1]))


def to_json(result: Segmentation) -> dict[str, Any]:
    """{"height", "width", "classes": [{"label", "name", "pixels", "share"}, ...]}, the largest class first.

    The labels themselves go into a picture: `save_labels`.
    """
    height, width = result.size
    number = {name: label for label, name in enumerate(result.class_names)}
    return {
        "height": height,
        "width": width,
        "classes": [
            {"label": number[name], "name": name, "pixels": pixels, "share": round(pixels / (height * width), 6)}
            for name, pixels in result.areas().items()
        ],
    }

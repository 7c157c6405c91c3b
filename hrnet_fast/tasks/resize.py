"""Resizing as Pillow does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_bilinear(
    image: Tensor,  # (H, W, 3) uint8
    size: tuple[int, int],  # (h, w)
) -> Tensor:  # (h, w, 3) uint8, on the picture's device
    """Bilinear with antialiasing: within one grey level of Pillow's `Image.resize((w, h), BILINEAR)`."""
    if tuple(image.shape[:2]) == tuple(size):
        return image
    planes = image.permute(2, 0, 1)[None]
    if image.device.type == "cpu":
        resized = F.interpolate(planes, size, mode="bilinear", antialias=True)
    else:  # CUDA has no uint8 kernel for it
        resized = F.interpolate(planes.float(), size, mode="bilinear", antialias=True)
        resized = resized.round_().clamp_(0, 255).to(torch.uint8)
    return resized[0].permute(1, 2, 0)

"""From pictures to the network's input, by the ImageNet protocol.

Source: tools/valid.py of HRNet-Image-Classification: Resize(size / 0.875), CenterCrop(size), ToTensor, Normalize.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..images import ImageError
from ..resize import resize_bilinear

CROP_FRACTION = 0.875  # tools/valid.py: 224 of 256
MEAN = (0.485, 0.456, 0.406)  # tools/valid.py, of RGB in 0..1
STD = (0.229, 0.224, 0.225)
MAX_ASPECT = 100  # of a picture's sides: beyond it the resized picture would fill the memory


def resize_crop(
    image: Tensor,  # (H, W, 3) uint8 RGB
    size: tuple[int, int],  # (h, w)
) -> Tensor:  # (h, w, 3) uint8
    """The centre of a picture whose shorter side was brought to size / 0.875.

    Bilinear with antialiasing, as Pillow's resize: within one grey level of torchvision's Resize and CenterCrop.
    size: if it is not square, its longer side counts.
    Errors: ImageError for a picture so narrow that one side is over 100 times the other.
    """
    short = int(max(size) / CROP_FRACTION)
    height, width = image.shape[:2]
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageError(f"a picture of {width} x {height} pixels is too narrow to be classified: crop it first")
    scaled = (short, int(short * width / height)) if height <= width else (int(short * height / width), short)
    resized = resize_bilinear(image, scaled)
    top, left = (round((full - part) / 2.0) for full, part in zip(scaled, size))
    return resized[top : top + size[0], left : left + size[1]]


def normalise(
    crops: Sequence[Tensor],  # N of (h, w, 3) uint8
) -> Tensor:  # (N, 3, h, w) float32, channels_last
    """(x / 255 - mean) / std."""
    batch = torch.stack(list(crops)).permute(0, 3, 1, 2).float()
    mean, std = (batch.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return batch.sub_(255 * mean).div_(255 * std)

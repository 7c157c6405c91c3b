"""The part of a picture that the network sees, by the ImageNet protocol.

Source: tools/valid.py of HRNet-Image-Classification: Resize(size / 0.875), CenterCrop(size).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..pixels import check_aspect, resize_bilinear

CROP_FRACTION = 0.875  # tools/valid.py: 224 of 256


def resize_crop(
    image: Tensor,  # (H, W, 3) uint8 RGB
    size: Sequence[int],  # (h, w)
) -> Tensor:  # (h, w, 3) uint8
    """The centre of a picture whose shorter side was brought to size / 0.875.

    Bilinear with antialiasing, as Pillow's resize: within one grey level of torchvision's Resize and CenterCrop.
    size: if it is not square, its longer side counts.
    Errors: ImageError for a picture so narrow that one side is over 100 times the other.
    """
    short = int(max(size) / CROP_FRACTION)
    height, width = image.shape[:2]
    check_aspect(height, width, "to be classified")
    scaled = (short, int(short * width / height)) if height <= width else (int(short * height / width), short)
    resized = resize_bilinear(image, scaled)
    top, left = (round((full - part) / 2.0) for full, part in zip(scaled, size))
    return resized[top : top + size[0], left : left + size[1]]

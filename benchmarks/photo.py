"""The input of every benchmark: a real photograph (Grace Hopper, public domain, shipped with matplotlib)."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SHIFT = 8  # pixels between one image of a batch and the next


@cache
def original() -> Image.Image:
    """The photograph as shipped: 512 wide, 600 high, RGB."""
    with get_sample_data("grace_hopper.jpg") as file:
        return Image.open(file).convert("RGB")


def fitted(height: int, width: int) -> Image.Image:
    """The photograph, cropped around its middle to the wanted aspect and resized."""
    image = original()
    scale = min(image.width / width, image.height / height)
    crop_width, crop_height = width * scale, height * scale
    left, top = (image.width - crop_width) / 2, (image.height - crop_height) / 2
    box = (left, top, left + crop_width, top + crop_height)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


@cache
def jpeg(height: int, width: int) -> bytes:
    """The photograph fitted, as a file."""
    file = io.BytesIO()
    fitted(height, width).save(file, "JPEG", quality=90)
    return file.getvalue()


def photo(height: int, width: int, batch: int = 1) -> Tensor:
    """The photograph fitted and normalised as ImageNet.

    Image i of the batch is shifted right by 8 i pixels (wrapped), so no two are equal. Returns [N, 3, H, W] float32.
    """
    pixels = np.asarray(fitted(height, width), dtype=np.float32) / 255
    normalised = (pixels - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
    one = torch.from_numpy(normalised).permute(2, 0, 1)
    return torch.stack([one.roll(SHIFT * i, dims=2) for i in range(batch)]).contiguous()

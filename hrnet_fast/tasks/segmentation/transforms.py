"""Pictures as the network takes them: resized, padded, normalised."""

from __future__ import annotations

import torch
from torch import Tensor

from ..pixels import MEAN, STD, check_aspect, resize_in_8_bits
from .protocol import Protocol

FIT_STRIDE = 8  # lib/datasets/pascal_ctx.py


def fit(image: Tensor, protocol: Protocol) -> tuple[Tensor, tuple[int, int]]:
    """What the reader of the data set makes of a picture, and which upper left part of that the picture fills.

    image: (H, W, 3) uint8. Returns (1, 3, h, w) float32 normalised, and (height, width).
    Errors: ImageError where a short side is fitted and the other one is over 100 times as long.
    """
    valid = (image.shape[0], image.shape[1])
    if protocol.fit == "exact":
        valid = protocol.size
    elif protocol.fit == "short" and protocol.base is not None:
        valid = _short_side_to(valid, protocol.base)
    x = resize_in_8_bits(image, valid)[None].permute(0, 3, 1, 2).float()  # channels_last, which torch resizes fast
    if protocol.fit in ("short", "padded"):
        x = _pad_to_stride(x)
    return normalise_in_place(x), valid


def normalise_in_place(x: Tensor) -> Tensor:
    """(N, 3, H, W) float32 of 0..255, which it overwrites, to what the network takes."""
    scale = torch.tensor([255 * s for s in STD], dtype=torch.float32, device=x.device)[:, None, None]
    shift = torch.tensor([m / s for m, s in zip(MEAN, STD)], dtype=torch.float32, device=x.device)[:, None, None]
    return x.div_(scale).sub_(shift)


def window(x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A part of a normalised view (N, 3, H, W); what lies past the view is black, as the official test pads it."""
    part = x[:, :, top : top + height, left : left + width]
    if part.shape[2:] == (height, width):
        return part
    black = torch.tensor([-m / s for m, s in zip(MEAN, STD)], dtype=torch.float32, device=x.device)[None, :, None, None]
    padded = black.expand(x.shape[0], 3, height, width).contiguous(memory_format=torch.channels_last)
    padded[:, :, : part.shape[2], : part.shape[3]] = part
    return padded


def _short_side_to(size: tuple[int, int], short: int) -> tuple[int, int]:
    """resize_short_length of lib/datasets/base_dataset.py."""
    height, width = size
    check_aspect(height, width, f"for a short side of {short}")
    if height < width:
        return short, int(width * short / height + 0.5)
    return int(height * short / width + 0.5), short


def _pad_to_stride(x: Tensor) -> Tensor:
    """Multiples of FIT_STRIDE, filled with the mean colour in whole grey levels."""
    height, width = (-(-side // FIT_STRIDE) * FIT_STRIDE for side in x.shape[2:])
    if (height, width) == tuple(x.shape[2:]):
        return x
    mean = torch.tensor([round(255 * m) for m in MEAN], dtype=x.dtype, device=x.device)[None, :, None, None]
    padded = mean.expand(x.shape[0], 3, height, width).contiguous(memory_format=torch.channels_last)
    padded[:, :, : x.shape[2], : x.shape[3]] = x
    return padded

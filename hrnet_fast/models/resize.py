"""The one way in which a model enlarges or shrinks a map."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


class SizeError(ValueError):
    """The input's height or width does not suit the network."""


def resize(x: Tensor, size: Sequence[int], mode: str, align_corners: bool = False) -> Tensor:
    """x (N, C, h, w) -> (N, C, *size); "nearest" only by whole factors, as nn.Upsample in the official pose code."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    if mode == "bilinear":
        return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
    (height, width), (h, w) = size, x.shape[-2:]
    if height % h or width % w or height // h != width // w:
        raise SizeError(
            f"a map of {h}x{w} cannot be enlarged to {height}x{width} by a whole factor: "
            "a network that fuses by nearest up-sampling needs an input whose height and width are multiples of 32"
        )
    return F.interpolate(x, scale_factor=int(height // h), mode="nearest")


def check_input(x: Tensor, multiple: int) -> None:
    """Refuse, in one sentence, an image batch that the network cannot take."""
    if x.dim() != 4 or x.shape[1] != 3:
        raise SizeError(f"the input must have shape (N, 3, H, W), not {tuple(x.shape)}")
    height, width = x.shape[-2:]
    if height % multiple or width % multiple:
        up = tuple(-(-side // multiple) * multiple for side in (height, width))
        raise SizeError(
            f"the input is {height}x{width}, but this network fuses by nearest up-sampling and takes only multiples "
            f"of {multiple}; the next size up is {up[0]}x{up[1]}"
        )

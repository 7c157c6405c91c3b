"""What the network sees of a picture: all of it, at one or more scales, in sizes that the network can halve."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch

from ..pixels import check_aspect
from ..pose.boxes import Regions

STEP = 64  # lib/utils/transforms.py, get_multi_scale_size: sides at the smallest scale are multiples of it
_HALVED = 32  # the network's coarsest maps are as many times smaller than its input


def view_size(height: int, width: int, short: int, scale: float, lowest: float) -> tuple[int, int]:
    """Height and width of a picture's view at `scale`, where `lowest` is the smallest scale that is looked at.

    get_multi_scale_size: at the lowest scale the short side is `short` times that scale and the long one as the picture
    asks, both rounded up to multiples of 64; the other views are these two, enlarged.
    Errors: ImageError for a picture with one side over 100 times as long as the other.
    """
    check_aspect(height, width, f"for a short side of {short}")
    base = int((lowest * short + STEP - 1) // STEP * STEP)
    long = int((base / min(height, width) * max(height, width) + STEP - 1) // STEP * STEP)
    sides = int(base * scale / lowest), int(long * scale / lowest)
    return sides[::-1] if width < height else sides


def region(height: int, width: int, size: Sequence[int]) -> Regions:
    """The part of a picture that a view of `size` (height, width) shows: the short side, and of the long one a little
    more than there is. Its centre is that of get_multi_scale_size, half a pixel off for odd sides."""
    center = [int(width / 2 + 0.5), int(height / 2 + 0.5)]
    shown = (width, size[0] / size[1] * width) if width < height else (size[1] / size[0] * height, height)
    return Regions(*(torch.tensor([pair], dtype=torch.float64, device="cpu") for pair in (center, shown)))


def checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """Scales, falling. ValueError for what the official test cannot look at together."""
    listed = isinstance(scales, Sequence) and not isinstance(scales, str) and len(scales) > 0
    if not listed or not all(isinstance(scale, Real) and 0 < scale < float("inf") for scale in scales):
        raise ValueError(f"scales {scales!r} must be one or more finite numbers above 0")
    if len(set(scales)) < len(scales):
        raise ValueError(f"scales {tuple(scales)} has one of them twice")
    if len(scales) > 1 and 1 not in scales:
        raise ValueError(f"scales {tuple(scales)} must hold 1, whose tags are what people are told apart by")
    wrong = [scale for scale in scales if STEP * scale / min(scales) % _HALVED]
    if wrong:
        raise ValueError(
            f"scales {tuple(scales)} would give sides that are no multiples of {_HALVED}: make {wrong[0]} a multiple "
            f"of half the smallest, {min(scales)}"
        )
    return tuple(sorted(scales, reverse=True))

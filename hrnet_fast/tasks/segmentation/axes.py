"""How far rows and columns of a picture's scores lie in a window's: official resizes, one after another, as taps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ...kernels import Taps


@lru_cache(maxsize=512)
def axis_taps(
    length: int, start: int, starts: tuple[int, ...], view: int, base: int, valid: int, target: int, align_corners: bool
) -> Taps:
    """One axis from a window to the labels: the mean over windows, to `base`, cut to `valid`, to `target`.

    length: of every window; start: of this one; starts: of all of them, along this axis of a view of `view` pixels.
    Where windows overlap each has its part, so that a grid of windows gives their mean.
    """
    place = torch.arange(view, device="cpu")
    count = sum(((place >= one) & (place < one + length)).int() for one in starts)
    inside = (place >= start) & (place < start + length)
    taps = Taps((place - start)[:, None], (inside.float() / count)[:, None])
    taps = _resized(taps, base, align_corners)
    taps = Taps(*(part[:valid] for part in taps))
    return _resized(taps, target, align_corners)


def _resized(taps: Taps, size: int, align_corners: bool) -> Taps:
    """`taps`, and then F.interpolate(size=size, mode="bilinear", align_corners=align_corners), as torch places it."""
    have = len(taps.index)
    if have == size:
        return taps
    at = _positions(have, size, align_corners)
    lo = at.long()
    hi = (lo + 1).clamp_(max=have - 1)
    part = (at - lo)[:, None]
    index = torch.cat([taps.index[lo], taps.index[hi]], 1)
    return Taps(index, torch.cat([taps.weight[lo] * (1 - part), taps.weight[hi] * part], 1))


def _positions(have: int, size: int, align_corners: bool) -> Tensor:
    """Where `size` values lie among `have`, in float32."""
    to = torch.arange(size, dtype=torch.float32, device="cpu")
    if align_corners:
        return to * ((have - 1) / max(size - 1, 1))
    return ((to + 0.5) * (have / size) - 0.5).clamp_(0, have - 1)


def starts_of(windows: Sequence[tuple[int, int, int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The distinct tops and lefts of a grid of windows (top, left, height, width)."""
    tops, lefts = ({window[axis] for window in windows} for axis in (0, 1))
    return tuple(sorted(tops)), tuple(sorted(lefts))

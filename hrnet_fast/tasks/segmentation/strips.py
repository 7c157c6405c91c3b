"""Maps that are computed a strip of rows at a time, so that no full-size one is ever in memory.

Every map has `channels`, `size` (height, width) and `rows(begin, end)` -> (end - begin, width, channels) float32, in
which torch resizes many times faster than with the channels outside.
A chain of them is what the official test computes on whole tensors: Resized(Exp(Resized(Stored(logits), view)), image).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...kernels import upsample_argmax

_STRIP_VALUES = 1 << 18  # a strip of about a megabyte: it stays in a core's second cache while it is summed


class RowMap(Protocol):
    channels: int
    size: tuple[int, int]

    def rows(self, begin: int, end: int) -> Tensor: ...


class Stored:
    """Logits (C, h, w) as the network gave them."""

    def __init__(self, values: Tensor) -> None:
        self.channels, self.size = values.shape[0], (values.shape[1], values.shape[2])
        self.values = values.permute(1, 2, 0).contiguous()

    def rows(self, begin: int, end: int) -> Tensor:
        return self.values[begin:end].float()


class Resized:
    """`source` resized bilinearly, as F.interpolate(source, size, mode="bilinear", align_corners=align_corners)."""

    def __init__(self, source: RowMap, size: tuple[int, int], align_corners: bool) -> None:
        self.source, self.size, self.align_corners = source, size, align_corners
        self.channels = source.channels

    def rows(self, begin: int, end: int) -> Tensor:
        strip = self.narrow_rows(begin, end)
        if strip.shape[1] == self.size[1]:
            return strip
        size = (strip.shape[0], self.size[1])
        wide = F.interpolate(as_batch(strip), size, mode="bilinear", align_corners=self.align_corners)
        return wide.permute(0, 2, 3, 1)[0]

    def narrow_rows(self, begin: int, end: int) -> Tensor:  # (end - begin, width of the source, channels)
        """The rows, still as wide as the source."""
        height = self.source.size[0]
        if height == self.size[0]:
            return self.source.rows(begin, end)
        at = self._positions(begin, end).clamp_(0, height - 1)
        first, last = int(at[0]), min(int(at[-1]) + 1, height - 1)
        source = self.source.rows(first, last + 1)
        lo = at.long()
        weight = (at - lo).to(source.device)[:, None, None]
        lo, hi = ((i - first).to(source.device) for i in (lo, (lo + 1).clamp_(max=height - 1)))
        return torch.lerp(source.index_select(0, lo), source.index_select(0, hi), weight)

    def _positions(self, begin: int, end: int) -> Tensor:
        """Where the rows lie in the source, in float32 as torch has it."""
        rows = torch.arange(begin, end, dtype=torch.float32)
        if self.align_corners:
            return rows * ((self.source.size[0] - 1) / max(self.size[0] - 1, 1))
        return (rows + 0.5) * (self.source.size[0] / self.size[0]) - 0.5


class Exp:
    """e to the power of `source`."""

    def __init__(self, source: RowMap) -> None:
        self.source, self.channels, self.size = source, source.channels, source.size

    def rows(self, begin: int, end: int) -> Tensor:
        return self.source.rows(begin, end).exp()


class Cropped:
    """The upper left part of `source`."""

    def __init__(self, source: RowMap, size: tuple[int, int]) -> None:
        self.source, self.channels, self.size = source, source.channels, size

    def rows(self, begin: int, end: int) -> Tensor:
        return self.source.rows(begin, end)[:, : self.size[1]]


@dataclass(frozen=True)
class Placed:
    """A window's map, whose upper left corner lies at (top, left); what lies outside the whole is cut off."""

    map: RowMap
    top: int
    left: int


class Windows:
    """The mean of overlapping windows, which together cover the whole."""

    def __init__(self, windows: Sequence[Placed], size: tuple[int, int]) -> None:
        self.windows, self.size, self.channels = windows, size, windows[0].map.channels

    def rows(self, begin: int, end: int) -> Tensor:
        total = count = None
        for window in self.windows:
            height, width = window.map.size
            top, bottom = max(begin, window.top), min(end, window.top + height)
            if top >= bottom:
                continue
            part = window.map.rows(top - window.top, bottom - window.top)
            if total is None:
                total = part.new_zeros(end - begin, self.size[1], self.channels)
                count = part.new_zeros(end - begin, self.size[1], 1)
            right = min(window.left + width, self.size[1])
            place = (slice(top - begin, bottom - begin), slice(window.left, right))
            total[place] += part[:, : right - window.left]
            count[place] += 1
        return total.div_(count)


class Sum:
    """The sum of maps of one size."""

    def __init__(self, maps: Sequence[RowMap]) -> None:
        self.maps, self.channels, self.size = maps, maps[0].channels, maps[0].size

    def rows(self, begin: int, end: int) -> Tensor:
        total = self.maps[0].rows(begin, end)
        for other in self.maps[1:]:
            total = total + other.rows(begin, end)
        return total


def as_batch(strip: Tensor) -> Tensor:
    """(h, w, C) -> (1, C, h, w) in the order of dimensions in which torch sees that it is channels_last."""
    return strip[None].permute(0, 3, 1, 2)


def argmax(whole: RowMap) -> Tensor:  # (height, width) uint8, on the maps' device
    """The channel of the largest value of each pixel, strip by strip."""
    height, width = whole.size
    step = max(8, _STRIP_VALUES // (whole.channels * width))
    rows, align_corners = whole.rows, False
    if isinstance(whole, Resized):  # whose last step the op takes over
        rows, align_corners = whole.narrow_rows, whole.align_corners
    strips = []
    for begin in range(0, height, step):
        strip = rows(begin, min(begin + step, height))
        strips.append(upsample_argmax([as_batch(strip)], (strip.shape[0], width), align_corners)[0])
    return torch.cat(strips)

"""Maps that are computed a strip of rows at a time, so that no full-size one is ever in memory.

Rows are (height, width, channels) float32: torch resizes them many times faster than with the channels outside.
A chain of them is what the official test computes on whole tensors: Resized(Exp(Resized(Stored(logits), view)), image).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...kernels import upsample_argmax

_STRIP_VALUES = 1 << 19  # a strip of two megabytes: it stays in a core's second cache while it is summed


class RowMap:
    """A map of `channels` and `size`, whose rows come in two steps: what needs other rows of the source, then the rest.

    Resizing and cutting are linear and separate by axis, so that a chain of them goes down first and then across.
    """

    channels: int
    size: tuple[int, int]

    @property
    def largest(self) -> int:
        """Pixels of the largest map that this one is made of."""
        return self.size[0] * self.size[1]

    def down(self, begin: int, end: int) -> Tensor:  # (end - begin, some width, channels)
        """The rows, not yet as wide as they are to be."""
        raise NotImplementedError

    def across(self, strip: Tensor) -> Tensor:
        """What `down` gave, at its full width."""
        return strip

    def rows(self, begin: int, end: int) -> Tensor:  # (end - begin, width, channels)
        return self.across(self.down(begin, end))


class Stored(RowMap):
    """Logits (C, h, w) as the network gave them."""

    def __init__(self, values: Tensor) -> None:
        self.channels, self.size = values.shape[0], (values.shape[1], values.shape[2])
        self.values = values.permute(1, 2, 0).contiguous()

    def down(self, begin: int, end: int) -> Tensor:
        return self.values[begin:end].float()


class Resized(RowMap):
    """`source` resized bilinearly, as F.interpolate(source, size, mode="bilinear", align_corners=align_corners)."""

    def __init__(self, source: RowMap, size: tuple[int, int], align_corners: bool) -> None:
        self.source, self.size, self.align_corners = source, size, align_corners
        self.channels = source.channels

    @property
    def largest(self) -> int:
        return max(super().largest, self.source.largest)

    def down(self, begin: int, end: int) -> Tensor:
        height = self.source.size[0]
        if height == self.size[0]:
            return self.source.down(begin, end)
        at = self._positions(begin, end).clamp_(0, height - 1)
        lo = at.long()
        hi = (lo + 1).clamp_(max=height - 1)
        first, last = int(lo[0]), int(hi[-1])
        weights = torch.zeros(end - begin, last + 1 - first)
        weights.scatter_add_(1, (lo - first)[:, None], (1 - (at - lo))[:, None])
        weights.scatter_add_(1, (hi - first)[:, None], (at - lo)[:, None])
        source = self.source.down(first, last + 1)
        strip = weights.to(source.device) @ source.reshape(source.shape[0], -1)
        return strip.view(end - begin, -1, self.channels)

    def across(self, strip: Tensor) -> Tensor:
        strip = self.source.across(strip)
        if strip.shape[1] == self.size[1]:
            return strip
        size = (strip.shape[0], self.size[1])
        wide = F.interpolate(as_batch(strip), size, mode="bilinear", align_corners=self.align_corners)
        return wide.permute(0, 2, 3, 1)[0]

    def _positions(self, begin: int, end: int) -> Tensor:
        """Where the rows lie in the source, in float32 as torch has it."""
        rows = torch.arange(begin, end, dtype=torch.float32)
        if self.align_corners:
            return rows * ((self.source.size[0] - 1) / max(self.size[0] - 1, 1))
        return (rows + 0.5) * (self.source.size[0] / self.size[0]) - 0.5


class Exp(RowMap):
    """e to the power of `source` less `shift`, by which all values become smaller by one factor."""

    def __init__(self, source: RowMap, shift: float = 0.0) -> None:
        self.source, self.shift, self.channels, self.size = source, shift, source.channels, source.size

    @property
    def largest(self) -> int:
        return self.source.largest

    def down(self, begin: int, end: int) -> Tensor:
        rows = self.source.rows(begin, end)
        return (rows - self.shift).exp_() if self.shift else rows.exp()


class Cropped(RowMap):
    """The upper left part of `source`."""

    def __init__(self, source: RowMap, size: tuple[int, int]) -> None:
        self.source, self.channels, self.size = source, source.channels, size

    @property
    def largest(self) -> int:
        return self.source.largest

    def down(self, begin: int, end: int) -> Tensor:
        return self.source.down(begin, end)

    def across(self, strip: Tensor) -> Tensor:
        return self.source.across(strip)[:, : self.size[1]]


@dataclass(frozen=True)
class Placed:
    """A window's map, whose upper left corner lies at (top, left); what lies outside the whole is cut off."""

    map: RowMap
    top: int
    left: int


class Windows(RowMap):
    """The mean of overlapping windows, which together cover the whole."""

    def __init__(self, windows: Sequence[Placed], size: tuple[int, int]) -> None:
        self.windows, self.size, self.channels = windows, size, windows[0].map.channels

    def down(self, begin: int, end: int) -> Tensor:
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


class Sum(RowMap):
    """The sum of maps of one size."""

    def __init__(self, maps: Sequence[RowMap]) -> None:
        self.maps, self.channels, self.size = maps, maps[0].channels, maps[0].size

    @property
    def largest(self) -> int:
        return max(one.largest for one in self.maps)

    def down(self, begin: int, end: int) -> Tensor:
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
    step = max(1, _STRIP_VALUES * height // (whole.channels * whole.largest))  # rows: a small picture has large views
    last, align_corners = whole, False
    if isinstance(whole, Resized):  # whose last step the op takes over
        last, align_corners = whole.source, whole.align_corners
    strips = []
    for begin in range(0, height, step):
        strip = last.across(whole.down(begin, min(begin + step, height)))
        strips.append(upsample_argmax([as_batch(strip)], (strip.shape[0], width), align_corners)[0])
    return torch.cat(strips)

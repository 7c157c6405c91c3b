"""Bordered maps: NHWC with a border of one zero pixel and channels padded to a multiple of 8, zeros that stay zero.

    element (n, c, y, x) lies at ((n * (H + 2) + y + 1) * (W + 2) + x + 1) * C' + c,   C' = 8 * ceil(C / 8)

A 3x3 convolution reads such a map without a bounds check, and every pixel begins at a multiple of 16 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CHANNEL_MULTIPLE = 8


def padded_channels(channels: int) -> int:
    return -(-channels // CHANNEL_MULTIPLE) * CHANNEL_MULTIPLE


def bordered_size(shape: Sequence[int], border: int = 1) -> int:
    """Elements of the bordered map of a logical shape (N, C, H, W)."""
    n, c, h, w = shape
    return n * (h + 2 * border) * (w + 2 * border) * padded_channels(c)


@dataclass(frozen=True)
class BorderedMap:
    """A map of logical `shape` (N, C, H, W) that lies bordered in `data`, a tensor of `bordered_size(shape)` elements.

    border: 1, or 0 for a map without one, which only sums read and write.
    """

    data: Tensor
    shape: tuple[int, ...]
    border: int = 1

    @classmethod
    def zeros(cls, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu") -> "BorderedMap":
        return cls(torch.zeros(bordered_size(shape), dtype=dtype, device=device), tuple(shape))

    @property
    def channels(self) -> int:
        """Channels as they lie, padding included."""
        return padded_channels(self.shape[1])

    @property
    def pixels(self) -> int:
        return self.shape[0] * self.shape[2] * self.shape[3]

    def nchw(self) -> Tensor:
        """The logical map (N, C, H, W), a view."""
        return self._inside()[..., : self.shape[1]].permute(0, 3, 1, 2)

    def pads(self) -> Tensor:
        """The padded channels of its pixels (N, H, W, C' - C), a view."""
        return self._inside()[..., self.shape[1] :]

    def _inside(self) -> Tensor:
        """All channels without the border (N, H, W, C'), a view."""
        (n, _, h, w), b = self.shape, self.border
        return self.data.view(n, h + 2 * b, w + 2 * b, self.channels)[:, b : b + h, b : b + w]

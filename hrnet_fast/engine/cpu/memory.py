"""The memory that native programs play in: maps with borders in buffers, which calls take and give back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

GRANULE = 64  # elements; every value starts at a multiple, so that vectors are aligned in any dtype
KEPT_CALLS = 100  # buffers that so many calls in a row do not need are let go


def as_map(shape: Sequence[int]) -> tuple[int, ...]:
    """(N, C), which a classifier has, is a map of one pixel."""
    return (*shape, 1, 1) if len(shape) == 2 else tuple(shape)


def bordered(shape: Sequence[int], tail: int) -> int:
    """Elements that a value takes: a map has a border of one pixel on each side, and `tail` elements behind it."""
    shape = as_map(shape)
    if len(shape) == 4:
        n, c, h, w = shape
        count = n * (h + 2) * (w + 2) * c + tail
    else:
        count = prod(shape)
    return -(-count // GRANULE) * GRANULE


def view_of(buffer: Tensor, offset: int, shape: tuple[int, ...]) -> Tensor:
    """A value in its buffer, as torch sees it: without the border."""
    if len(as_map(shape)) != 4:
        return buffer[offset : offset + prod(shape)].view(shape)
    n, c, h, w = as_map(shape)
    inside = buffer[offset : offset + n * (h + 2) * (w + 2) * c].view(n, h + 2, w + 2, c)[:, 1:-1, 1:-1]
    return inside.permute(0, 3, 1, 2) if len(shape) == 4 else inside[:, 0, 0]


def without_border(view: Tensor) -> Tensor:
    """A copy that views of torch's can reshape, as they cannot step over a border."""
    return view.contiguous(memory_format=torch.channels_last if view.dim() == 4 else torch.contiguous_format)


def span(flat: Tensor) -> tuple[int, int]:
    """Address and elements, which C++ checks."""
    return flat.data_ptr(), flat.numel()


def outside(map_index: int, tensor: Tensor) -> tuple[int, int, int, int, tuple[int, ...]]:
    """A tensor (N, C, H, W) or (N, C) that C++ copies into a map or from one."""
    strides = (*tensor.stride(), 0, 0)[:4]
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, strides)) + 1
    return map_index, tensor.data_ptr(), tensor.itemsize, reach, strides


@dataclass
class Buffers:
    """The memory of one call: buffer 0 is the arena, the others hold the inputs. views: every value, as NCHW."""

    tensors: list[Tensor]
    views: dict[int, Tensor]


class BufferPool:
    """Buffers of calls that have ended. make: new ones."""

    def __init__(self, make: Callable[[], Buffers]):
        self.make = make
        self.free: list[Buffers] = []  # the last one used at the end
        self.idle = self.calls = 0  # buffers that no call took since the last let go

    # A list needs no lock, which a fork in the midst of another thread's call would leave locked for ever.
    def take(self) -> Buffers:
        try:
            buffers = self.free.pop()
        except IndexError:
            buffers = None
        self.idle = min(self.idle, len(self.free))
        return buffers or self.make()

    def give(self, buffers: Buffers) -> None:
        self.free.append(buffers)
        self.calls += 1
        if self.calls % KEPT_CALLS == 0:
            del self.free[: self.idle]
            self.idle = len(self.free)

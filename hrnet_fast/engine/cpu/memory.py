"""The memory that compiled plans play in: maps with borders in buffers, which calls take and give back."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

GRANULE = 64  # elements; every value starts at a multiple, so that vectors are aligned in any dtype
KEPT_CALLS = 100  # buffers that so many calls in a row do not need are let go
KEPT_BYTES = 256 << 20  # of all input shapes together, that are kept in any case


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


def caller_tensor(map_index: int, tensor: Tensor) -> tuple[int, int, int, int, tuple[int, ...]]:
    """A tensor (N, C, H, W) or (N, C) that C++ copies into a map or from one."""
    strides = (*tensor.stride(), 0, 0)[:4]
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, strides)) + 1
    return map_index, tensor.data_ptr(), tensor.itemsize, reach, strides


@dataclass
class Buffers:
    """The memory of one call: buffer 0 is the arena, the others hold the inputs. views: every value, as NCHW."""

    tensors: list[Tensor]
    views: dict[int, Tensor]


class Kept:
    """The pools of an executor, of which it has one for each input shape. What they keep between calls is together at
    most twice the largest one's buffers, or KEPT_BYTES: those go first that were not used for longest."""

    def __init__(self) -> None:
        self.pools: list[weakref.ref[BufferPool]] = []  # the last one used at the end

    def used(self, pool: BufferPool) -> None:
        if self.pools and self.pools[-1]() is pool:
            return
        pools = [each for ref in self.pools if (each := ref()) is not None and each is not pool]
        self.pools = [*map(weakref.ref, pools), weakref.ref(pool)]
        over = sum(each.kept_bytes for each in (*pools, pool)) - max(
            KEPT_BYTES, 2 * max(each.bytes for each in (*pools, pool))
        )
        for each in pools:
            if over > 0:
                over -= each.kept_bytes
                each.free = []


class BufferPool:
    """Buffers of calls that have ended. make: new ones. kept: the pools that this one shares its memory with."""

    def __init__(self, make: Callable[[], Buffers], kept: Kept | None = None):
        self.make, self.kept = make, kept or Kept()
        self.bytes = 0  # of one call's buffers
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

    @property
    def kept_bytes(self) -> int:
        return self.bytes * len(self.free)

    def give(self, buffers: Buffers) -> None:
        self.bytes = self.bytes or sum(tensor.nbytes for tensor in buffers.tensors)
        self.free.append(buffers)
        self.kept.used(self)
        self.calls += 1
        if self.calls % KEPT_CALLS == 0:
            del self.free[: self.idle]
            self.idle = len(self.free)

"""Memory in large pages, where weights and maps lie: to walk the tables of small ones takes 3 % of a network's time."""

from __future__ import annotations

import mmap
from math import prod

import torch
from torch import Tensor

PAGE = 2 << 20  # bytes of a large page
BLOCK = 64 << 20  # bytes of addresses that an allocator takes at once; what is not written in them takes no memory
LINE = 64  # bytes of a cache line, at which everything begins
ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)  # of Linux alone


def flat(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """So many zeros, in large pages where they fill one and the system has them."""
    size = count * dtype.itemsize
    if size < PAGE or not hasattr(mmap, "MAP_ANONYMOUS"):  # Windows has none
        return torch.zeros(count, dtype=dtype, device="cpu")
    try:
        pages = mmap.mmap(-1, size + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if ADVICE is not None:
            pages.madvise(ADVICE)
    except OSError:  # a kernel without them, or no memory, of which torch has more to say
        return torch.zeros(count, dtype=dtype, device="cpu")
    whole = torch.frombuffer(pages, dtype=torch.uint8)  # which keeps them
    begin = -whole.data_ptr() % PAGE
    return whole[begin : begin + size].view(dtype)


class Allocator:
    """Hands out tensors that lie one behind the other; a block of them is freed with the last that lies in it."""

    def __init__(self) -> None:
        self.block = torch.empty(0, dtype=torch.uint8, device="cpu")

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A contiguous tensor of any content."""
        size = prod(shape) * dtype.itemsize
        if size > len(self.block):
            self.block = flat(max(size, BLOCK), torch.uint8)
        taken, self.block = self.block[:size], self.block[-(-size // LINE) * LINE :]
        return taken.view(dtype).view(shape)

    def copy(self, tensor: Tensor) -> Tensor:
        """The same values, contiguous, from here."""
        return self.empty(*tensor.shape, dtype=tensor.dtype).copy_(tensor)

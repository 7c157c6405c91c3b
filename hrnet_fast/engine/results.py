"""Tensors for what a caller gets back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def own_copies(results: Sequence[Tensor], like: Tensor) -> list[Tensor]:
    """Tensors of the caller's own, as `empty_result` makes them."""
    return [empty_result(result.shape, like).copy_(result) for result in results]


def empty_result(shape: Sequence[int], like: Tensor) -> Tensor:
    """A tensor of the caller's own, in the dtype, device and memory format of the first input.

    It is an ordinary tensor, also where executors run in inference mode: it may be used in later autograd work.
    """
    layout = torch.contiguous_format
    both_maps = like.dim() == len(shape) == 4
    if both_maps and not like.is_contiguous() and like.is_contiguous(memory_format=torch.channels_last):
        layout = torch.channels_last
    with torch.inference_mode(False):
        return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)

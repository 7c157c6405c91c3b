"""Tensors for what a caller gets back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..plan import Plan


def own_copies(plan: Plan, results: Sequence[Tensor], like: Tensor) -> list[Tensor]:
    """A plan's results in tensors of the caller's own."""
    return [own.copy_(result) for own, result in zip(results_of(plan, like), results)]


def results_of(plan: Plan, like: Tensor) -> list[Tensor]:
    """Tensors of the caller's own for the results of a plan, as `empty_result` makes them."""
    values = [plan.values[value] for value in plan.outputs]
    return [empty_result(value.shape, like, value.dtype) for value in values]


def empty_result(shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of the caller's own, in the dtype, device and memory format of the first input.

    dtype: for a value of its own dtype.

    It is an ordinary tensor, also where executors run in inference mode: it may be used in later autograd work.
    """
    layout = torch.contiguous_format
    both_maps = like.dim() == len(shape) == 4
    if both_maps and not like.is_contiguous() and like.is_contiguous(memory_format=torch.channels_last):
        layout = torch.channels_last
    with torch.inference_mode(False):
        return torch.empty(shape, dtype=dtype or like.dtype, device=like.device, memory_format=layout)

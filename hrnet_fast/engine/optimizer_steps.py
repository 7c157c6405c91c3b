"""Steps of optimizers, counted as the writes that they are: torch's fused ones, and those through `.data`, are not."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

_watched: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()


def watch(tensors: Iterable[Tensor]) -> None:
    """From now on, a step of any `torch.optim.Optimizer` that writes one of these raises its version."""
    _hook()
    for tensor in tensors:
        if not tensor.is_inference():  # which has no version
            _watched[id(tensor)] = tensor


@cache  # once, and not before an optimized module is there
def _hook() -> None:
    register_optimizer_step_post_hook(_count)


def _count(optimizer: Optimizer, *_: Any) -> None:
    parameters: Iterator[Tensor] = (p for group in optimizer.param_groups for p in group["params"])
    written = [p for p in parameters if p.grad is not None and _watched.get(id(p)) is p]
    if written:
        increment_version(written)

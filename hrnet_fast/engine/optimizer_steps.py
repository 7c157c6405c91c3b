"""Steps of optimizers, counted as the writes that they are: torch's fused ones, and those through `.data`, are not."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Protocol

from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook


class Watcher(Protocol):
    """Somebody who asks for the versions of tensors."""

    def tensors(self) -> Iterable[Tensor]: ...


_watchers: list[weakref.ref[Watcher]] = []  # not the tensors: torch swaps none that is weakly referred to


def watch(watcher: Watcher) -> None:
    """From now on, a step of any `torch.optim.Optimizer` that writes one of its tensors raises that one's version."""
    _hook()
    _watchers.append(weakref.ref(watcher, _watchers.remove))


@cache  # once, and not before an optimized module is there
def _hook() -> None:
    register_optimizer_step_post_hook(_count)


def _count(optimizer: Optimizer, *_: Any) -> None:
    alive = [watcher for one in tuple(_watchers) if (watcher := one()) is not None]
    watched = {id(tensor) for watcher in alive for tensor in watcher.tensors()}
    parameters: Iterator[Tensor] = (p for group in optimizer.param_groups for p in group["params"])
    written = [p for p in parameters if p.grad is not None and id(p) in watched and not p.is_inference()]
    if written:
        increment_version(written)

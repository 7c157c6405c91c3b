"""A clock for the stages of a request: decode, crop, network, ..."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


class Stages:
    """Seconds by stage, added up over all requests: `with stages("crop"): ...`.

    A stage inside another one is not counted twice: the outer stage stands still meanwhile.
    device: a CUDA device is waited for at the end of each stage, so that its work counts where it was asked for.
    One clock belongs to one thread.
    """

    def __init__(self, device: torch.device | str | None = None) -> None:
        self._seconds: dict[str, float] = {}
        self._inner: list[float] = []  # of each open stage: seconds spent in stages inside it
        self._device = torch.device(device) if device is not None else torch.device("cpu")

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._seconds.setdefault(name, 0.0)
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
        finally:
            spent = time.perf_counter() - start
            self._seconds[name] += spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent

    @property
    def seconds(self) -> dict[str, float]:
        """Stage -> seconds, in the order in which the stages first began."""
        return dict(self._seconds)


Clock = Callable[[str], AbstractContextManager[None]]

_NOTHING = nullcontext()


def clock(stages: Stages | None) -> Clock:
    """`stages`, or what is called alike and measures nothing: `stage = clock(stages)`, `with stage("crop"): ...`."""
    return (lambda name: _NOTHING) if stages is None else stages

"""Tiles by measurement: a level's candidates are timed as nodes of a CUDA graph, and the fastest is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from time import monotonic
from typing import Any, Protocol

import torch

from ..tuning.found import Tuning

ROUNDS = 2  # over all that may vary, since what is best of one thing depends on the others


class Choice(Protocol):
    """How a level is tiled; hashable. tiles: of its convolutions, each of the executor's kind."""

    @property
    def tiles(self) -> tuple[Any, ...]: ...

    def as_entry(self) -> dict[str, Any]:
        """For the cache: readable, and back by the executor's `from_entry`."""


Variation = Callable[[Any], Iterable[Any]]  # from a choice to others that differ from it in one thing


@dataclass(frozen=True)
class TunedTiles:
    """What tuning one level found: the choice, its time, and that of the model's choice, in microseconds; infinity for
    one that the GPU refuses. complete: all was tried that should be."""

    choice: Choice
    time: float
    model_time: float
    complete: bool = True

    def as_entry(self) -> dict[str, Any]:
        """A refused choice has no time there, as JSON has no infinity."""
        us, model_us = (round(time, 3) if isfinite(time) else None for time in (self.time, self.model_time))
        entry = {**self.choice.as_entry(), "us": us, "model_us": model_us}
        return entry if self.complete else {**entry, "complete": False}


TileTuning = Tuning[TunedTiles]


def tune_level(
    start: Choice, variations: Sequence[Variation], clock: Callable[[Choice], float], seconds: float = inf,
    ready: Callable[[Sequence[Choice]], None] = lambda choices: None,
) -> TunedTiles:  # fmt: skip
    """Improves a level's choice in one thing after another, from the model's on. clock: microseconds of a choice.

    seconds: after them nothing more is tried. ready: called with choices before they are timed one by one. A choice
    that the GPU refuses is no choice.
    """
    deadline = monotonic() + seconds
    known: dict[Choice, float] = {}

    def time(choice: Choice) -> float:
        if choice not in known:
            try:
                known[choice] = clock(choice)
            except refusals():
                known[choice] = inf
        return known[choice]

    best = start
    time(start)
    for _ in range(ROUNDS):
        before = best
        for vary in variations:
            choices = list(vary(best))
            if monotonic() < deadline:
                ready([choice for choice in choices if choice not in known])
            for choice in choices:
                if choice not in known and monotonic() >= deadline:
                    return TunedTiles(best, time(best), time(start), complete=False)
                best = min(best, choice, key=time)
        if best == before:
            break
    return TunedTiles(best, time(best), time(start))


def refusals() -> tuple[type[Exception], ...]:
    """What is raised for a tile that this GPU cannot hold. Triton's own errors are no RuntimeErrors."""
    triton = sys.modules.get("triton")
    return (RuntimeError, ValueError, torch.cuda.OutOfMemoryError, *([triton.TritonError] if triton else []))

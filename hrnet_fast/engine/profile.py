"""How long each level of a plan takes on a CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor

from ..plan import Item, Plan
from .executor import Executor

SECONDS = 2.0
FEWEST, MOST = 5, 100  # calls


def time_levels(executor: Executor, plan: Plan, inputs: Sequence[Tensor]) -> list[tuple[int, float]]:
    """(level, microseconds) of every level: the median over whole calls, so that caches hold what they hold in use.

    executor: any that plays plans on a CPU. inputs: in the plan's order. A level ends where its results may be looked
    at, which costs a native program the start of a parallel region a level; reading the inputs is part of the first.
    """
    level_of = {item.out: index for index, level in enumerate(plan.levels) for item in level.items}
    calls: list[list[float]] = []
    mark = 0.0

    def watch(item: Item, result: Tensor) -> None:
        nonlocal mark
        calls[-1][level_of[item.out]] += time.perf_counter() - mark
        mark = time.perf_counter()

    run = executor.prepare(plan, watch)
    with torch.inference_mode():
        calls.append([0.0] * len(plan.levels))
        run(inputs)  # makes the buffers
        calls.clear()
        end = time.perf_counter() + SECONDS
        while len(calls) < FEWEST or (len(calls) < MOST and time.perf_counter() < end):
            calls.append([0.0] * len(plan.levels))
            mark = time.perf_counter()
            run(inputs)
    return [(index, 1e6 * median(times)) for index, times in enumerate(zip(*calls))]

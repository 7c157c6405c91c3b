"""Whichever CPU executor is faster for a shape, where that cannot be known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import inf

import torch

from ...plan import Item, Level, Plan
from ...timing import interleave
from ..executor import Executor, NoChoice, Progress, Run
from ..interpret import Watch
from ..results import own_copies

SECONDS = 0.2  # of timing, or one turn each


class TimedExecutor(Executor):
    """Times its candidates once for each plan, when it is prepared, and plays it by the fastest one.

    candidates: executors for CPUs, each as exact as torch, by the names that `explain` shows.
    """

    name = "auto"
    device = torch.device("cpu")
    hands_over = True
    max_plans = 8

    def __init__(self, candidates: Mapping[str, Executor]):
        self.candidates = dict(candidates)
        self.dtype = next(iter(self.candidates.values())).dtype
        self._times: dict[str, dict[str, float]] = {}  # microseconds by candidate, of each plan

    def times(self, plan: Plan) -> Mapping[str, float]:
        """Microseconds that each candidate took for a plan; it is timed now if it was not before."""
        if _signature(plan) not in self._times:
            self.prepare(plan)
        return self._times[_signature(plan)]

    def winner(self, plan: Plan) -> Executor:
        """Who plays a plan."""
        times = self.times(plan)
        return self.candidates[min(times, key=times.__getitem__)]

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        if watch is not None or _signature(plan) in self._times:
            return _owned(self.winner(plan), plan, watch)
        runs = {name: _owned(candidate, plan) for name, candidate in self.candidates.items()}
        shapes = [plan.values[value].shape for value in plan.inputs]
        inputs = [torch.ones(shape, dtype=torch.float32, device=self.device) for shape in shapes]
        with torch.inference_mode():
            calls = {name: lambda run=run: run(inputs) for name, run in runs.items()}
            timings = interleave(calls, budget_s=SECONDS, min_rounds=1, calls_per_turn=1)
        times = self._times[_signature(plan)] = {name: timing.microseconds(50) for name, timing in timings.items()}
        return runs[min(times, key=times.__getitem__)]

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        name, reason = self.winner(plan).explain(plan, level)
        times = sorted(self.times(plan).items(), key=lambda each: each[1])
        return name, f"{reason}; fastest of " + ", ".join(f"{each} {time:.0f} us" for each, time in times)

    def map_bytes(self, plan: Plan) -> int | None:
        return self.winner(plan).map_bytes(plan)

    def cost(self, plan: Plan, item: Item) -> tuple[int, int]:
        return self.winner(plan).cost(plan, item)

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> dict:
        """Tunes the first candidate that has a choice of kernels, and times all of them anew."""
        for candidate in self.candidates.values():
            with suppress(NoChoice):
                found = candidate.tune(plan, progress, again, seconds)
                self._times.pop(_signature(plan), None)
                return found
        raise self._no_choice("tune")


def _owned(executor: Executor, plan: Plan, watch: Watch | None = None) -> Run:
    """The executor's run, with results that are the caller's own."""
    run = executor.prepare(plan, watch)
    return run if executor.hands_over else lambda inputs: own_copies(run(inputs), inputs[0])


def _signature(plan: Plan) -> str:
    return " ".join([plan.digest, *(str(tuple(plan.values[value].shape)) for value in plan.inputs)])

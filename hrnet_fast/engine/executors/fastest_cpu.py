"""The fastest executor on a CPU, where that cannot be known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import inf
from typing import Any

import torch

from ...plan import Plan
from ...timing import interleave
from ..executor import Executor, NoChoice, Progress, Run
from ..interpret import Watch
from ..tuning.found import Tuning
from .fastest import FastestExecutor, Verdict

SECONDS = 0.2  # of timing, or one turn each


class FastestCpuExecutor(FastestExecutor):
    """Times its candidates once for each plan, when it is prepared, and plays it by the fastest one.

    candidates: executors for CPUs, each as exact as torch, by the names that `explain` shows.
    """

    device = torch.device("cpu")
    max_plans = 8

    def __init__(self, candidates: Mapping[str, Executor]):
        super().__init__(candidates)
        self.dtype = next(iter(self.candidates.values())).dtype

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        if watch is not None or self._signature(plan) in self._verdicts:
            return self.winner(plan).prepare(plan, watch)
        runs, refused = {}, {}
        for name, candidate in self.candidates.items():
            try:
                runs[name] = candidate.prepare(plan)
            except (RuntimeError, ValueError) as error:
                refused[name] = str(error)
        if not runs:
            raise self._nobody_plays(plan, refused)
        shapes = [plan.values[value].shape for value in plan.inputs]
        inputs = [torch.ones(shape, dtype=torch.float32, device=self.device) for shape in shapes]
        with torch.inference_mode():
            calls = {name: lambda run=run: run(inputs) for name, run in runs.items()}
            timings = interleave(calls, budget_s=SECONDS, min_rounds=1, calls_per_turn=1)
        times = {name: timing.microseconds(50) for name, timing in timings.items()}
        winner = min(times, key=times.__getitem__)
        self._verdicts[self._signature(plan)] = Verdict(winner, times, refused)
        self._let_losers_go()
        return runs[winner]

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> Tuning[Any]:
        """Tunes the first candidate that has a choice of kernels, and times all of them anew."""
        for candidate in self.candidates.values():
            with suppress(NoChoice):
                found = candidate.tune(plan, progress, again, seconds)
                self.forget(plan)
                return found
        raise self._no_choice("tune")

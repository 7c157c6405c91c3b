"""The CUDA executor with depth fusion: where the model of the GPU says so, convolutions that follow each other are
played by the same CTAs, and some levels need no launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

import torch
from torch import Tensor

from ...plan import Level, Plan
from ..executor import Progress
from ..gpu.chains import Chain, Schedule, choose_chains, find_chains, schedule
from ..gpu.cuda_tiles import level_time, most_shared
from ..gpu.gpu import Gpu
from ..gpu.tune import TileTuning
from ..interpret import Watch
from ..tuning.cache import TuningCache
from .cuda import CudaExecutor
from .levels import LevelTape

# Nanoseconds, estimates: from the end of one launch to the start of the next, and of a level without convolutions.
GAP, SUMS = 500.0, 1000.0


class CudaChainExecutor(CudaExecutor):
    """As CudaExecutor, with chains of convolutions in one launch. What lies inside a chain has no memory, and cannot be
    watched.

    choice_of_chains: (plan, those that can be played) -> those that are; None for those that the model of the GPU finds
    faster.
    """

    name = "cuda-chains"

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        gpu: Gpu | None = None, op: Callable[..., None] | None = None,
        choice_of_chains: Callable[[Plan, list[Chain]], list[Chain]] | None = None, cache: TuningCache | None = None,
    ):  # fmt: skip
        super().__init__(tensors, dtype, device, why, gpu, op, cache)
        self.choice_of_chains = choice_of_chains or self._faster
        self._schedules: dict[str, Schedule] = {}

    def schedule(self, plan: Plan) -> Schedule:
        """The levels as they are played."""
        if plan.digest not in self._schedules:
            most = most_shared(self.gpu, 1)
            found = [
                chain for chain in find_chains(plan, lambda item: self.lowering.unsupported_item(item, plan) is None)
                if self.lowering.problem(chain, plan).candidates(most)
            ]  # fmt: skip
            self._schedules[plan.digest] = schedule(plan, self.choice_of_chains(plan, found))
        return self._schedules[plan.digest]

    def tape(self, plan: Plan, watch: Watch | None = None, overlap: bool = True) -> LevelTape:
        return super().tape(replace(plan, levels=self.schedule(plan).levels), watch, overlap)

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> TileTuning:
        """As the other executors, of the levels as they are played. Which chains those have is the model's choice."""
        return super().tune(replace(plan, levels=self.schedule(plan).levels), progress, again, seconds)

    def profile(self, plan: Plan) -> list[tuple[int, float]]:
        """As the other executors, without the levels that need no launch."""
        return [(origin, us) for origin, (_, us) in zip(self.schedule(plan).origins, super().profile(plan))]

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        made, index = self.schedule(plan), plan.levels.index(level)
        played, elsewhere = made.at(index), ", ".join(map(str, made.elsewhere(level, index)))
        moved = f"steps of chains that level {elsewhere} launches" if elsewhere else ""
        if played is None:
            return self.name, f"no launch: {moved}"
        name, reason = super().explain(plan, played)
        return name, f"{reason}; {moved}" if moved else reason

    def _faster(self, plan: Plan, found: list[Chain]) -> list[Chain]:
        def cost(level: Level) -> float:
            problems = self.lowering.problems(plan, level)
            if not problems:
                return GAP + SUMS
            tiles = self.lowering.model_choice(plan, level, self.gpu).tiles
            return GAP + level_time(problems, tiles, self.gpu)

        return choose_chains(plan, found, cost)

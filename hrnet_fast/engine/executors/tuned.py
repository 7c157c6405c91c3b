"""Executors whose tiles were measured on this GPU, or come from a model of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from ...plan import Level, Plan
from ..gpu.device_key import device_key
from ..gpu.layout import allocate
from ..gpu.lower import Lowering
from ..gpu.tiles import Gpu
from ..gpu.timing import within_a_graph
from ..gpu.tune import Choice, Tuned, Variation, tune_level
from ..tuning.cache import TuningCache
from .levels import LevelExecutor


class TunedLevelExecutor(LevelExecutor):
    """A LevelExecutor that takes its tiles from the cache of measured ones, else from a model of the GPU.

    cache: the user's if None. clock: microseconds of a level's step.
    """

    kind: str  # of its entries in the cache

    def __init__(self, lowering: Lowering, gpu: Gpu, why: str, cache: TuningCache | None = None):
        super().__init__(lowering, gpu, why)
        self.cache = cache or TuningCache()
        self.key = device_key(self.device) if self.device.type == "cuda" else None
        self.clock: Callable[[Callable[[], None]], float] = within_a_graph

    @abstractmethod
    def problems(self, plan: Plan, level: Level) -> Sequence[Any]:
        """What of a level needs a tile, in order."""

    @abstractmethod
    def signature(self, plan: Plan, level: Level) -> str:
        """What a level's measured tiles are kept under: equal for equal work."""

    @abstractmethod
    def modelled(self, plan: Plan, level: Level) -> Choice:
        """The tiles by the model of the GPU."""

    @abstractmethod
    def from_entry(self, entry: dict[str, Any] | None, problems: Sequence[Any]) -> Choice | None:
        """The tiles that an entry of the cache holds; None where it does not fit the problems."""

    @abstractmethod
    def variations(self, problems: Sequence[Any]) -> list[Variation]:
        """What is tried from a choice on."""

    def choice(self, plan: Plan, level: Level) -> Choice:
        """The tiles of a level: measured, or as the model of the GPU has them."""
        return self.measured(plan, level) or self.modelled(plan, level)

    def measured(self, plan: Plan, level: Level) -> Choice | None:
        """The tiles of a level that the cache holds, or None."""
        if self.key is None:
            return None
        entry = self.cache.get(self.key, self.kind, self.signature(plan, level))
        return entry and self.from_entry(entry, self.problems(plan, level))

    def origin(self, plan: Plan, level: Level) -> str:
        """Where a level's tiles come from."""
        return "tuned" if self.measured(plan, level) else "modelled"

    def tune(
        self, plan: Plan, progress: Callable[[Iterable[Level]], Iterable[Level]] = iter, again: bool = False
    ) -> dict[str, Tuned]:
        """Measures tiles for every distinct level of a plan that the cache lacks, keeps them there, and tells of them.

        progress: wraps the levels, e.g. in a progress bar. again: measure what the cache has, too. Programs prepared
        before keep their tiles.
        """
        distinct = {self.signature(plan, level): level for level in plan.levels if self.problems(plan, level)}
        missing = {name: level for name, level in distinct.items() if again or not self.measured(plan, level)}
        memory, found = allocate(plan, self.dtype, self.device), {}
        on_device = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with torch.inference_mode(), on_device:
            for name, level in zip(missing, progress(list(missing.values()))):

                def time(choice: Choice, level: Level = level) -> float:
                    return self.clock(self.lowering.step(level, plan, memory, choice, False))

                start = self.modelled(plan, level)
                found[name] = tune_level(start, self.variations(self.problems(plan, level)), time)
                self.cache.put(self.key, self.kind, name, found[name].as_entry())
        return found

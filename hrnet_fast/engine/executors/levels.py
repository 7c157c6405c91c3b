"""What executors have in common that play a plan level by level: its tape, one CUDA graph for all of it, and tiles that
were measured on this GPU or come from a model of it."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf, isfinite
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from ...plan import Level, Plan
from ..executor import Executor, Progress, Run
from ..gpu.device_key import device_key
from ..gpu.gpu import Gpu
from ..gpu.layout import Memory, allocate, unplaceable
from ..gpu.lower import Lowering, Step
from ..gpu.tape import CaptureError, GraphedTape, on_device, play_once
from ..gpu.timing import within_a_graph
from ..gpu.tune import Choice, TileTuning, TunedTiles, Variation, refusals, tune_level
from ..interpret import Watch
from ..tuning.cache import TuningCache

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
OLDEST = (8, 0)  # tensor cores for bfloat16 and TF32, and asynchronous copies to shared memory


class LevelTape:
    """A plan as steps, one a level, on bordered maps. watch: called with each item and its result."""

    def __init__(self, plan: Plan, memory: Memory, steps: Sequence[Step], watch: Watch | None = None):
        self.plan, self.memory, self.steps, self.watch = plan, memory, tuple(steps), watch
        self.device = next(iter(memory.views.values())).device

    def load(self, inputs: Sequence[Tensor]) -> None:
        for value, x in zip(self.plan.inputs, inputs):
            self.memory.views[value].copy_(x)

    def play(self) -> None:
        for level, step in zip(self.plan.levels, self.steps):
            step()
            if self.watch is not None:
                for item in level.items:
                    self.watch(item, self.memory.views[item.out])

    def results(self) -> list[Tensor]:
        return [self.memory.views[value] for value in self.plan.outputs]


class LevelExecutor(Executor):
    """Plays plans by one launch a level; torch plays the items that its kernel does not know, inside the same graph.

    lowering: makes the steps. gpu: what tiles are chosen for. why: this executor was chosen. cache: of measured tiles;
    the user's if None. clock: microseconds of a level's step. Each plan owns its memory: calls of one shape run one
    after another.
    """

    kind: str  # of its entries in the cache
    emulator: str  # what plays its kernel on a CPU
    from_entry: Callable[..., Choice | None]  # the tiles of a cache's entry, for these problems, on this GPU
    variations: Callable[..., list[Variation]]  # what is tried from a choice on, for these problems, on this GPU
    max_plans = 16  # each has memory of its own

    def __init__(self, lowering: Lowering, gpu: Gpu, why: str, cache: TuningCache | None = None):
        self.lowering, self.gpu, self.why = lowering, gpu, why
        self.dtype, self.device = lowering.dtype, lowering.device
        self.cache = cache or TuningCache()
        self.key = device_key(self.device) if self.device.type == "cuda" else None
        self.clock: Callable[[Callable[[], None]], float] = within_a_graph

    @abstractmethod
    def tiling(self, plan: Plan, level: Level) -> str:
        """The tiles of a level in words."""

    def choice(self, plan: Plan, level: Level) -> Choice:
        """The tiles of a level: measured, or as the model of the GPU has them."""
        return self.measured(plan, level) or self.lowering.model_choice(plan, level, self.gpu)

    def measured(self, plan: Plan, level: Level) -> Choice | None:
        """The tiles of a level that the cache holds, or None."""
        entry = self._entry(plan, level)
        return None if entry is None else self.from_entry(entry, self.lowering.problems(plan, level), self.gpu)

    def origin(self, plan: Plan, level: Level) -> str:
        """Where a level's tiles come from."""
        return "tuned" if self.measured(plan, level) else "modelled"

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        refused = [why for why in (self.lowering.unsupported_item(item, plan) for item in level.items) if why]
        if len(refused) == len(level.items):
            return "torch", refused[0]
        where = "" if self.device.type == "cuda" else f" in {self.emulator}"
        tf32 = self.dtype == torch.float32 and self.lowering.precision == "tf32"
        name = str(self.dtype).removeprefix("torch.") + (" (TF32)" if tf32 else "")
        beside = f"; by torch: {refused[0]}" if refused else ""
        return self.name, f"one launch{where} in {name}, {self.tiling(plan, level)}: {self.why}{beside}"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        tape = self.tape(plan, watch)
        return GraphedTape(tape).run if watch is None else partial(play_once, tape)

    def release(self) -> None:
        self.lowering.release()

    def tape(self, plan: Plan, watch: Watch | None = None, overlap: bool = True) -> LevelTape:
        """The plan's memory and steps. overlap: whether launches may begin before the one before them ends.

        Raises ValueError for maps that the kernels cannot address, CaptureError where the GPU lacks memory.
        """
        if why := unplaceable(plan):
            raise ValueError(f"{why}: use a smaller batch or image, or executor='cudnn'")
        try:
            memory = allocate(plan, self.dtype, self.device)
            steps = self.lowering.steps(plan, memory, lambda level: self.choice(plan, level), overlap)
        except torch.cuda.OutOfMemoryError as error:
            raise CaptureError(f"the GPU's memory does not suffice for this input shape ({error})") from error
        self.warm(steps)
        return LevelTape(plan, memory, steps, watch)

    def warm(self, steps: Sequence[Step]) -> None:
        """What the steps need before they are played: nothing, unless their kernels are compiled here."""

    def profile(self, plan: Plan) -> list[tuple[int, float]]:
        """Each level is repeated alone as a node of a graph.

        A level's maps then lie in L2, as they do after the level before it; the sum leaves out what overlapping
        launches save.
        """
        with torch.inference_mode(), on_device(self.device):
            steps = self.tape(plan, overlap=False).steps  # a level may end in a copy, and then itself follows
            return [(index, within_a_graph(step)) for index, step in enumerate(steps)]

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> TileTuning:
        """Measures tiles for every distinct level of a plan that the cache lacks.

        seconds: where they may be too few, the levels that take most of the plan's time come first, and a level that
        they do not suffice for keeps what was found, and is tuned by the next call.
        """
        if self.key is None:  # there is no GPU that they could be of
            raise self._no_choice("tune")
        deadline = monotonic() + seconds
        tiled = [level for level in plan.levels if self.lowering.tiled(plan, level)]
        distinct = {self.lowering.signature(plan, level): level for level in tiled}
        missing = {name: level for name, level in distinct.items() if again or not self._is_tuned(plan, level)}
        memory, found = allocate(plan, self.dtype, self.device), TileTuning()
        with torch.inference_mode(), on_device(self.device):
            if seconds < inf:
                missing = self._slowest_first(plan, missing, memory)
            for name, level in zip(missing, progress(list(missing.values()))):
                if monotonic() >= deadline:
                    break
                found[name] = self._tune_level(plan, level, memory, deadline - monotonic())
                if isfinite(found[name].time):  # else the GPU refused every choice
                    self.cache.put(self.key, self.kind, name, found[name].as_entry())
        found.left = len(missing) - sum(each.complete for each in found.values())
        return found

    def _tune_level(self, plan: Plan, level: Level, memory: Memory, seconds: float) -> TunedTiles:
        steps: dict[Choice, Step] = {}

        def step(choice: Choice) -> Step:
            if choice not in steps:
                steps[choice] = self.lowering.step(plan, level, memory, choice, False)
            return steps[choice]

        def ready(choices: Sequence[Choice]) -> None:
            with suppress(*refusals()):  # timing it alone meets the refusal again, and knows whose it is
                self.warm([step(choice) for choice in choices])

        start = self.lowering.model_choice(plan, level, self.gpu)
        variations = self.variations(self.lowering.problems(plan, level), self.gpu)
        return tune_level(start, variations, lambda choice: self.clock(step(choice)), seconds, ready)

    def _slowest_first(self, plan: Plan, levels: dict[str, Level], memory: Memory) -> dict[str, Level]:
        """The levels by the time that the plan spends in all that are like them, with the model's tiles."""
        count = Counter(self.lowering.signature(plan, level) for level in plan.levels)
        steps = {
            name: self.lowering.step(plan, level, memory, self.lowering.model_choice(plan, level, self.gpu), False)
            for name, level in levels.items()
        }
        with suppress(*refusals()):
            self.warm(list(steps.values()))
        times = dict.fromkeys(levels, inf)
        for name, step in steps.items():
            with suppress(*refusals()):
                times[name] = count[name] * self.clock(step)
        return {name: levels[name] for name in sorted(levels, key=times.__getitem__, reverse=True)}

    def _entry(self, plan: Plan, level: Level) -> dict[str, Any] | None:
        """What the cache has of a level."""
        return None if self.key is None else self.cache.get(self.key, self.kind, self.lowering.signature(plan, level))

    def _is_tuned(self, plan: Plan, level: Level) -> bool:
        entry = self._entry(plan, level) or {}
        return self.measured(plan, level) is not None and entry.get("complete", True)

"""The Triton executor: one launch a level for all its items, and the whole plan as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from ...plan import Level, Plan
from ..gpu.device_key import device_key
from ..gpu.layout import Memory, allocate, unplaceable
from ..gpu.lower import Lowering, Step, TileChoice, beyond, convolutions, model_choice, problem, signature
from ..gpu.program import CaptureError, GpuProgram, play_once
from ..gpu.tiles import Gpu
from ..gpu.timing import within_a_graph
from ..gpu.tune import Tuned, as_entry, from_entry, tune_level
from ..gpu.warm import compile_all
from ..tuning.cache import TuningCache
from .reference import Watch

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
OLDEST = (8, 0)  # tensor cores for bfloat16 and TF32, and asynchronous copies to shared memory


def unsupported(dtype: torch.dtype, device: torch.device) -> str | None:
    """Why this executor cannot play here, or None."""
    try:
        import triton
    except ImportError:
        return "Triton is not installed: pip install triton"
    if dtype not in DTYPES:
        return f"the Triton kernels have no {str(dtype).removeprefix('torch.')}"
    if device.type == "cuda":
        if torch.version.hip is not None:
            return "the Triton kernels were made for NVIDIA GPUs"
        found = torch.cuda.get_device_capability(device)
        if found < OLDEST:
            return f"the Triton kernels need compute capability 8.0, and this GPU has {found[0]}.{found[1]}"
        return None
    if device.type == "cpu" and triton.knobs.runtime.interpret:
        return None
    return f"the Triton kernels run on a GPU, and this is {device.type} (TRITON_INTERPRET=1 runs them slowly anywhere)"


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


class TritonExecutor:
    """Plays plans by grouped Triton kernels in float32, bfloat16 or float16, with float32 sums.

    tensors: the module's parameters and buffers by key. float32 products use TF32 where torch's own convolutions do
    (`torch.backends.cudnn.allow_tf32` when the module is optimized). Items that the kernels do not know are played by
    torch, inside the same graph. Each plan owns its memory: calls of one shape run one after another. Tiles come from
    the cache of measured ones, else from a model of the GPU.
    """

    name = "triton"
    hands_over = True  # results are the caller's
    max_plans = 16  # shapes whose plans a module keeps, each with memory of its own

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        cache: TuningCache | None = None,
    ):  # fmt: skip
        self.dtype, self.device, self.why = dtype, device, why
        self.gpu = describe_gpu(device)
        tf32 = dtype == torch.float32 and device.type == "cuda" and torch.backends.cudnn.allow_tf32
        self.precision = "tf32" if tf32 else "ieee"
        overlap = device.type == "cuda" and self.gpu.capability >= 90
        self.lowering = Lowering(tensors, dtype, device, self.precision, overlap)
        self.cache = cache or TuningCache()
        self.key = device_key(device) if device.type == "cuda" else None

    def choice(self, plan: Plan, level: Level) -> TileChoice:
        """The tiles of a level: measured, or as the model of the GPU has them."""
        return self._measured(plan, level) or self._modelled(plan, level)

    def _modelled(self, plan: Plan, level: Level) -> TileChoice:
        return model_choice(level, plan, self.dtype, self.precision, self.gpu)

    def _measured(self, plan: Plan, level: Level) -> TileChoice | None:
        if self.key is None:
            return None
        problems = [problem(item, plan, self.dtype, self.precision) for item in convolutions(level, plan)]
        return from_entry(self.cache.get(self.key, "tiles", self.signature(plan, level)), problems, self.gpu)

    def signature(self, plan: Plan, level: Level) -> str:
        """What a level's measured tiles are kept under."""
        return signature(level, plan, self.dtype, self.precision)

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        """(executor, reason) of a plan's level."""
        refused = [why for why in (beyond(item, plan) for item in level.items) if why]
        if len(refused) == len(level.items):
            return "torch", refused[0]
        tiles = " ".join(f"{t.rows}x{t.columns}x{t.step}/{t.split}" for t in self.choice(plan, level).tiles)
        tiles = f"{'tuned' if self._measured(plan, level) else 'modelled'} tiles {tiles}" if tiles else "sums alone"
        where = "" if self.device.type == "cuda" else " in Triton's interpreter"
        name = str(self.dtype).removeprefix("torch.") + (" (TF32)" if self.precision == "tf32" else "")
        beside = f"; by torch: {refused[0]}" if refused else ""
        return self.name, f"one launch{where} in {name}, {tiles}: {self.why}{beside}"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """A function from inputs to results, in the plan's order. watch: called with each item and its result."""
        tape = self.tape(plan, watch)
        return GpuProgram(tape).run if watch is None else partial(play_once, tape)

    def release(self) -> None:
        """Let go of the packed weights; plans that were prepared keep theirs."""
        self.lowering.release()

    def tape(self, plan: Plan, watch: Watch | None = None) -> LevelTape:
        """The plan's memory and steps.

        Raises ValueError for maps that the kernels cannot address, CaptureError where the GPU lacks memory.
        """
        if why := unplaceable(plan):
            raise ValueError(f"{why}: use a smaller batch or image, or executor='cudnn'")
        try:
            memory = allocate(plan, self.dtype, self.device)
            steps = self.lowering.steps(plan, memory, lambda level: self.choice(plan, level))
        except torch.cuda.OutOfMemoryError as error:
            raise CaptureError(f"the GPU's memory does not suffice for this input shape ({error})") from error
        compile_all((launch for step in steps for launch in step.launches), self.device)
        return LevelTape(plan, memory, steps, watch)

    def tune(
        self, plan: Plan, progress: Callable[[Iterable[Level]], Iterable[Level]] = iter, again: bool = False
    ) -> dict[str, Tuned]:
        """Measures tiles for every distinct level of a plan that the cache lacks, keeps them there, and tells of them.

        progress: wraps the levels, e.g. in a progress bar. again: measure what the cache has, too. Programs prepared
        before keep their tiles.
        """
        distinct = {self.signature(plan, level): level for level in plan.levels if convolutions(level, plan)}
        missing = {name: level for name, level in distinct.items() if again or not self._measured(plan, level)}
        memory, found = allocate(plan, self.dtype, self.device), {}
        with torch.inference_mode(), torch.cuda.device(self.device):
            for name, level in zip(missing, progress(list(missing.values()))):
                found[name] = tune_level(level, plan, memory, self.lowering, self._modelled(plan, level), self.gpu)
                self.cache.put(self.key, "tiles", name, as_entry(found[name]))
        return found

    def profile(self, plan: Plan) -> list[tuple[int, float]]:
        """(level, microseconds) of every level, each repeated alone as a node of a graph.

        A level's maps then lie in L2, as they do after the level before it; the sum leaves out what overlapping
        launches save.
        """
        with torch.inference_mode(), torch.cuda.device(self.device):
            return [(index, within_a_graph(step)) for index, step in enumerate(self.tape(plan).steps)]


def describe_gpu(device: torch.device) -> Gpu:
    """What the tile model needs to know of a GPU; for the CPU's interpreter, a Hopper GPU."""
    if device.type != "cuda":
        return Gpu()
    found = torch.cuda.get_device_properties(device)
    capability = found.major * 10 + found.minor
    scale = found.multi_processor_count / Gpu().multiprocessors
    return Gpu(
        capability, found.multi_processor_count, found.shared_memory_per_multiprocessor,
        shared_rate=Gpu().shared_rate * scale, matrix_rate=Gpu().matrix_rate * (1.0 if capability >= 90 else 0.5),
    )  # fmt: skip

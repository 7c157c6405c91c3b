"""The Triton executor: one launch a level for all its items, and the whole plan as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ...plan import Level, Plan
from ..gpu.device_key import device_key
from ..gpu.layout import allocate
from ..gpu.lower import Lowering, Step, TileChoice, convolutions, model_choice, problem, signature
from ..gpu.tune import Tuned, as_entry, from_entry, tune_level
from ..gpu.warm import compile_all
from ..tuning.cache import TuningCache
from .levels import LevelExecutor, describe_gpu, overlaps

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


class TritonExecutor(LevelExecutor):
    """Plays plans by grouped Triton kernels in float32, bfloat16 or float16, with float32 sums.

    tensors: the module's parameters and buffers by key. float32 products use TF32 where torch's own convolutions do
    (`torch.backends.cudnn.allow_tf32` when the module is optimized). Items that the kernels do not know are played by
    torch, inside the same graph. Each plan owns its memory: calls of one shape run one after another. Tiles come from
    the cache of measured ones, else from a model of the GPU.
    """

    name = "triton"
    emulator = "Triton's interpreter"

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        cache: TuningCache | None = None,
    ):  # fmt: skip
        tf32 = dtype == torch.float32 and device.type == "cuda" and torch.backends.cudnn.allow_tf32
        self.precision = "tf32" if tf32 else "ieee"
        gpu = describe_gpu(device)
        lowering = Lowering(tensors, dtype, device, self.precision, overlaps(device, gpu))
        super().__init__(lowering, gpu, why)
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

    def tiling(self, plan: Plan, level: Level) -> str:
        tiles = " ".join(f"{t.rows}x{t.columns}x{t.step}/{t.split}" for t in self.choice(plan, level).tiles)
        return f"{'tuned' if self._measured(plan, level) else 'modelled'} tiles {tiles}" if tiles else "sums alone"

    def warm(self, steps: Sequence[Step]) -> None:
        compile_all((launch for step in steps for launch in step.launches), self.device)

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

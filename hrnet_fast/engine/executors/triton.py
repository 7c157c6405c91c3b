"""The Triton executor: one launch a level for all its items, and the whole plan as one CUDA graph."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from hrnet_fast.kernels.level import Launch

from ...plan import Level, Plan
from ...processor import available_cores
from ..gpu.cudnn_settings import allows_tf32
from ..gpu.gpu import describe_gpu, overlaps
from ..gpu.lower import Step
from ..gpu.triton_lower import TritonLowering
from ..gpu.triton_tile_choices import from_entry, variations
from ..tuning.cache import TuningCache
from .levels import DTYPES, OLDEST, LevelExecutor

# Triton parses what it compiles, and these versions' parser mixes up the depths of several threads (CPython gh-106905).
_PARSES_ALONE = (3, 11) <= sys.version_info < (3, 11, 8)


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
    (`torch.backends.cudnn.conv.fp32_precision` when the module is optimized). Items that the kernels do not know are
    played by torch, inside the same graph. Each plan owns its memory: calls of one shape run one after another. Tiles
    come from the cache of measured ones, else from a model of the GPU.
    """

    name = "triton"
    kind = "tiles"
    emulator = "Triton's interpreter"
    from_entry, variations = staticmethod(from_entry), staticmethod(variations)

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        cache: TuningCache | None = None,
    ):  # fmt: skip
        tf32 = dtype == torch.float32 and device.type == "cuda" and allows_tf32()
        precision, gpu = "tf32" if tf32 else "ieee", describe_gpu(device)
        super().__init__(TritonLowering(tensors, dtype, device, precision, overlaps(device, gpu)), gpu, why, cache)

    def tiling(self, plan: Plan, level: Level) -> str:
        tiles = " ".join(f"{t.rows}x{t.columns}x{t.step}/{t.split}" for t in self.choice(plan, level).tiles)
        return f"{self.origin(plan, level)} tiles {tiles}" if tiles else "sums alone"

    def warm(self, steps: Sequence[Step]) -> None:
        """Compiles each distinct kernel once, by threads: Triton's compiler leaves Python's lock. Launches nothing."""
        launches = (launch for step in steps for launch in step.launches if isinstance(launch, Launch))
        distinct = list({launch.specialisation: launch for launch in launches}.values())
        if self.device.type != "cuda" or len(distinct) < 2:
            return

        def compile_one(launch: Launch) -> None:
            with torch.cuda.device(self.device):
                launch.compile()

        with ThreadPoolExecutor(1 if _PARSES_ALONE else min(len(distinct), available_cores())) as pool:
            list(pool.map(compile_one, distinct))

"""The CUDA executor: one launch a level by the CUDA C++ kernel, and the whole plan as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from hrnet_fast.kernels.cuda_level import level_code
from hrnet_fast.kernels.library import is_compiled, why_not_compiled

from ...plan import Level, Plan
from ..gpu.cuda_lower import CudaLowering
from ..gpu.cuda_tile_choices import from_entry, variations
from ..gpu.cuda_tiles import resident_of
from ..gpu.cudnn_settings import allows_tf32
from ..gpu.gpu import Gpu, describe_gpu, overlaps
from ..tuning.cache import TuningCache
from .levels import DTYPES, OLDEST, LevelExecutor


def unsupported(dtype: torch.dtype, device: torch.device) -> str | None:
    """Why this executor cannot play here, or None."""
    if dtype not in DTYPES:
        return f"the CUDA level kernel has no {str(dtype).removeprefix('torch.')}"
    if device.type != "cuda":
        return f"the CUDA level kernel runs on a GPU, and this is {device.type}"
    if not is_compiled("level", "cuda"):
        return why_not_compiled("cuda")
    found = torch.cuda.get_device_capability(device)
    if found < OLDEST:
        return f"the CUDA level kernel needs compute capability 8.0, and this GPU has {found[0]}.{found[1]}"
    if level_code(device)[0] < 10 * OLDEST[0]:
        own = f"{found[0]}.{found[1]}"
        return f"the extension was not compiled for this GPU's compute capability {own}: set TORCH_CUDA_ARCH_LIST={own}"
    if dtype == torch.float32 and not allows_tf32():
        return (
            "the CUDA level kernel multiplies float32 in TF32, which torch.backends.cudnn.allow_tf32 = False or an "
            "fp32_precision forbids: allow it, or use executor='triton'"
        )
    return None


class CudaExecutor(LevelExecutor):
    """Plays plans by the CUDA level kernel in float32 (products in TF32), bfloat16 or float16, with float32 sums.

    tensors: the module's parameters and buffers by key. Tiles come from the cache of measured ones, else from a model
    of the GPU. gpu: the one to choose them for, `device` itself if None. op: what computes a launch, see `CudaLaunch`.
    """

    name = "cuda"
    kind = "cuda_tiles"
    emulator = "the emulator"
    from_entry, variations = staticmethod(from_entry), staticmethod(variations)

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        gpu: Gpu | None = None, op: Callable[..., None] | None = None, cache: TuningCache | None = None,
    ):  # fmt: skip
        gpu = gpu or describe_gpu(device)
        super().__init__(CudaLowering(tensors, dtype, device, overlaps(device, gpu), op), gpu, why, cache)

    def tiling(self, plan: Plan, level: Level) -> str:
        """Tiles, how many CTAs the convolutions are, how often they fill the GPU, and the shared memory of one."""
        tiles, problems = self.choice(plan, level).tiles, self.lowering.problems(plan, level)
        if not tiles:
            return "sums alone"
        resident = resident_of(problems, tiles, self.gpu)
        blocks = sum(problem.grid(tile) for problem, tile in zip(problems, tiles))
        shared = max(problem.shared_bytes(tile) for problem, tile in zip(problems, tiles))
        waves = blocks / (self.gpu.multiprocessors * resident)
        names = f"{self.origin(plan, level)} tiles {' '.join(map(str, tiles))}"
        return f"{names}; {blocks} CTAs in {waves:.2f} waves of {resident} x {shared / 1024:.0f} KB"

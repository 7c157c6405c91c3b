"""What the models of tiles know of a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hrnet_fast.kernels.cuda_level import level_code


@dataclass(frozen=True)
class Gpu:
    """What the model knows of a GPU. Rates: bytes a nanosecond from L2 to one multiprocessor and to all of them, and
    tensor-core operations a nanosecond of one, by warps and by warpgroups; bytes a nanosecond from memory, where a
    level's maps are more than L2 holds. warpgroups: whether the CUDA level kernel has them there. The defaults are a
    Hopper GPU's, as estimated."""

    capability: int = 90
    multiprocessors: int = 132
    shared_memory: int = 228 * 1024  # a multiprocessor's; a CTA may have 1 KB less
    own_rate: float = 90.0
    shared_rate: float = 5500.0
    matrix_rate: float = 3800.0
    group_rate: float = 6000.0
    l2: int = 50 * 2**20
    memory_rate: float = 4000.0
    programs: int = 2  # that share a multiprocessor
    warpgroups: bool = True

    @property
    def places(self) -> int:
        return self.multiprocessors * self.programs


def overlaps(device: torch.device, gpu: Gpu) -> bool:
    """Whether a launch may begin while the one before it ends."""
    return device.type == "cuda" and gpu.capability >= 90


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
        l2=getattr(found, "L2_cache_size", Gpu().l2), memory_rate=Gpu().memory_rate * min(1.0, scale),
        warpgroups=level_code(device)[1],
    )  # fmt: skip

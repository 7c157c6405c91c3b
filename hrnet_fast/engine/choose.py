"""Which executor plays: as asked, or the fastest one that this machine, device and dtype allow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from ..plan.warn import warn
from .executor import Executor
from .executors import amx, cuda, cudnn, native, onednn, triton
from .executors.amx import AmxExecutor
from .executors.cuda import CudaExecutor
from .executors.cuda_chains import CudaChainExecutor
from .executors.cudnn import CudnnExecutor
from .executors.fastest_cpu import FastestCpuExecutor
from .executors.fastest_gpu import FastestGpuExecutor
from .executors.native import NativeExecutor
from .executors.onednn import OneDnnExecutor
from .executors.reference import ReferenceExecutor
from .executors.torch_graph import TorchExecutor
from .executors.triton import TritonExecutor

EXECUTORS = ("auto", "native", "onednn", "triton", "cuda", "cuda-chains", "cudnn", "reference")
MAY_USE_WINOGRAD = "cuDNN may choose Winograd's convolutions or FFT, which exact=True leaves out"
ON_A_GPU = {
    "triton": (triton, TritonExecutor), "cuda": (cuda, CudaExecutor), "cuda-chains": (cuda, CudaChainExecutor),
    "cudnn": (cudnn, CudnnExecutor),
}  # fmt: skip


def make_executor(
    name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, exact: bool = False
) -> Executor:
    """The executor asked for. "auto": on a GPU the fastest as measured; on a CPU native kernels, else oneDNN, or the
    faster one as timed where the kernels' vectors have 16 bytes or they compute on AMX's tiles; where none of these can
    play, plain torch operations.
    exact: no algorithm that errs more than a direct convolution.

    Raises ValueError for an unknown name, RuntimeError with the reason where the one asked for cannot play here.
    """
    if name not in EXECUTORS:
        raise ValueError(f"executor={name!r} is not known; choose one of {', '.join(map(repr, EXECUTORS))}")
    if name == "reference":
        return ReferenceExecutor(tensors, dtype, device)
    if exact and name == "cudnn":
        _require(name, MAY_USE_WINOGRAD)
    if name in ON_A_GPU:
        module, made = ON_A_GPU[name]
        _require(name, module.unsupported(dtype, device))
        return made(tensors, dtype, device)
    if name == "auto" and device.type == "cuda":
        return _fastest_on_gpu(tensors, dtype, device, exact)
    return _on_cpu(name, tensors, dtype, device, exact)


def _fastest_on_gpu(tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, exact: bool) -> Executor:
    """Every GPU executor that can play in this dtype takes part, and plain torch; if exact, our own kernels alone."""
    refused = {name: module.unsupported(dtype, device) for name, (module, _) in ON_A_GPU.items()}
    if exact:
        refused["cudnn"] = MAY_USE_WINOGRAD
    candidates: list[Executor] = [
        made(tensors, dtype, device, "as measured") for name, (_, made) in ON_A_GPU.items() if refused[name] is None
    ]
    if exact and not candidates:
        reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise RuntimeError(f"exact=True cannot be kept on this GPU, as none of our kernels plays here ({reasons})")
    if not candidates:
        return ReferenceExecutor(tensors, dtype, device, "; ".join(why for why in refused.values() if why))
    if not exact:
        candidates.append(TorchExecutor(tensors, dtype, device, "plain torch operations in a CUDA graph"))
    return FastestGpuExecutor(tensors, dtype, device, candidates)


def _on_cpu(
    name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, exact: bool
) -> Executor:
    neither = None if dtype in onednn.DTYPES else onednn.unsupported(dtype)
    if device.type != "cpu":
        neither = f"the CPU executors do not run on {device.type}"
    if neither is not None:
        if name != "auto":
            _require(name, neither)
        return ReferenceExecutor(tensors, dtype, device, neither)
    no_onednn, no_native = onednn.unsupported(dtype), native.unsupported()
    if name != "auto":
        _require(name, no_native if name == "native" else no_onednn)
    elif no_native:
        _tell(no_native)
    if no_onednn and no_native:
        return ReferenceExecutor(tensors, dtype, device, f"{no_onednn}; {no_native}")
    if dtype == torch.bfloat16 and name != "onednn":
        if amx.unsupported() is None:
            return AmxExecutor(tensors) if name == "native" else _faster_on_tiles(tensors)
        if native.unsupported_bfloat16() is None:
            return NativeExecutor(tensors, "bfloat16", exact, isa=native.BFLOAT16)
    compute, why = onednn.compute_dtype(dtype)
    if compute != torch.float32 and not no_onednn:  # oneDNN plays on AMX's tiles, where ours were refused
        no_native = no_native or amx.unsupported() or "as asked"
        if name == "native":
            _require(name, no_native)
    if name == "onednn" or no_native:
        return OneDnnExecutor(tensors, compute, f"{why}; {no_native or 'as asked'}")
    if name == "auto" and native.is_portable():
        return _fastest_on_cpu(tensors, dtype, exact)
    return NativeExecutor(tensors, why, exact)


def _faster_on_tiles(tensors: Mapping[str, Tensor]) -> Executor:
    """Our kernels on AMX's tiles, which have not been measured on hardware yet, or oneDNN's."""
    if onednn.unsupported(torch.bfloat16):
        return AmxExecutor(tensors)
    return FastestCpuExecutor({
        "native": AmxExecutor(tensors), "onednn": OneDnnExecutor(tensors, torch.bfloat16, "as timed")
    })  # fmt: skip


def _fastest_on_cpu(tensors: Mapping[str, Tensor], dtype: torch.dtype, exact: bool) -> Executor:
    """Native kernels and oneDNN in float32, and oneDNN in the dtype asked for where the CPU has instructions for it;
    native kernels and plain torch where torch has no oneDNN."""
    candidates: dict[str, Executor] = {"native": NativeExecutor(tensors, "float32", exact)}
    if no_onednn := onednn.unsupported(torch.float32):
        candidates["torch"] = ReferenceExecutor(tensors, torch.float32, "cpu", f"{no_onednn}; as timed")
        return FastestCpuExecutor(candidates)
    candidates["onednn"] = OneDnnExecutor(tensors, torch.float32, "as timed")
    if dtype != torch.float32 and onednn.has_instructions(dtype):
        candidates[f"onednn in {str(dtype).removeprefix('torch.')}"] = OneDnnExecutor(tensors, dtype, "as timed")
    return FastestCpuExecutor(candidates)


@cache
def _tell(why: str) -> None:
    """Once a process."""
    warn(f"torch computes, as the C++ kernels of hrnet_fast cannot: {why} (`hrnet-fast env` says more)")


def _require(name: str, refusal: str | None) -> None:
    if refusal is not None:
        raise RuntimeError(f"executor={name!r} cannot be used: {refusal}")

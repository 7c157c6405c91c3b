"""Which executor plays: as asked, or the fastest one that this machine, device and dtype allow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .executors import native, onednn
from .executors.native import NativeExecutor
from .executors.onednn import OneDnnExecutor
from .executors.reference import ReferenceExecutor

EXECUTORS = ("auto", "native", "onednn", "reference")
Executor = NativeExecutor | OneDnnExecutor | ReferenceExecutor


def make_executor(name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device) -> Executor:
    """The executor asked for; "auto": native kernels, else oneDNN, else plain torch operations.

    Raises ValueError for an unknown name, RuntimeError with the reason where the one asked for cannot play here.
    """
    if name not in EXECUTORS:
        raise ValueError(f"executor={name!r} is not known; choose one of {', '.join(map(repr, EXECUTORS))}")
    if name == "reference":
        return ReferenceExecutor(tensors, dtype, device)
    on_cpu = None if device.type == "cpu" else f"the CPU executors do not run on {device.type}"
    no_onednn = on_cpu or onednn.unsupported(dtype)
    if no_onednn:
        if name != "auto":
            raise RuntimeError(f"executor={name!r} cannot be used: {no_onednn}")
        return ReferenceExecutor(tensors, dtype, device, no_onednn)
    compute, why = onednn.compute_dtype(dtype)
    no_native = native.unsupported()
    if no_native is None and compute != torch.float32:
        no_native = f"this CPU convolves faster in {why}"
    if name == "native" and no_native:
        raise RuntimeError(f"executor='native' cannot be used: {no_native}")
    if name == "onednn" or no_native:
        return OneDnnExecutor(tensors, compute, f"{why}; {no_native or 'as asked'}")
    return NativeExecutor(tensors, why)

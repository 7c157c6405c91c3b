"""Which executor plays: as asked, or the fastest one that this machine, device and dtype allow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .executors import cpu
from .executors.cpu import CpuExecutor
from .executors.reference import ReferenceExecutor

EXECUTORS = ("auto", "cpu", "reference")


def make_executor(
    name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device
) -> tuple[CpuExecutor | ReferenceExecutor, str]:
    """The executor and why it was chosen.

    Raises ValueError for an unknown name, RuntimeError with every reason where the one asked for cannot play here.
    """
    if name not in EXECUTORS:
        raise ValueError(f"executor={name!r} is not known; choose one of {', '.join(map(repr, EXECUTORS))}")
    refusal = cpu.unsupported(dtype) if device.type == "cpu" else f"the cpu executor does not run on {device.type}"
    if name == "cpu" and refusal:
        raise RuntimeError(f"executor='cpu' cannot be used: {refusal}")
    if name == "reference" or refusal:
        reason = "as asked" if name == "reference" else f"the cpu executor was refused: {refusal}"
        return ReferenceExecutor(tensors, dtype, device, reason), reason
    executor = CpuExecutor(tensors, dtype)
    return executor, executor.reason

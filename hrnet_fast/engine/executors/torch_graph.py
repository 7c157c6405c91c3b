"""Plain torch operations in a CUDA graph: what remains where nothing faster is right."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from ...plan import Plan
from ..executor import Run
from ..gpu.tape import GraphedTape
from ..interpret import Watch
from .reference import ReferenceExecutor


class TorchExecutor(ReferenceExecutor):
    """The reference executor in a CUDA graph."""

    name = "torch"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        if watch is not None:
            return super().prepare(plan, watch)
        return GraphedTape(TorchTape(plan, self)).run


class TorchTape:
    """A plan by plain torch operations: with batch norm folded, and no more than that."""

    def __init__(self, plan: Plan, executor: ReferenceExecutor):
        self.plan, self.device = plan, executor.device
        self.executor = copy(executor)  # with its interpreter, whose weights a graph reads when that has let go of it
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def load(self, inputs: Sequence[Tensor]) -> None:
        if not self.inputs:
            self.inputs = [_like(x, self.executor.dtype) for x in inputs]
        for own, x in zip(self.inputs, inputs):
            own.copy_(x)

    def play(self) -> None:
        self.outputs = self.executor.run(self.plan, self.inputs)

    def results(self) -> list[Tensor]:
        return self.outputs


def _like(x: Tensor, dtype: torch.dtype) -> Tensor:
    layout = torch.channels_last if x.dim() == 4 else torch.contiguous_format
    return torch.empty_like(x, dtype=dtype, memory_format=layout)

"""The reference executor: plays the Plan with plain torch operations, to tell a plan's faults from a kernel's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...plan import Level, Plan
from ...plan.lifetimes import dead_after
from ..executor import Executor, Run
from ..interpret import Interpreter, Watch
from ..results import own_copies


class ReferenceExecutor(Executor):
    """Plays any plan in any floating dtype on any device, one torch operation at a time.

    tensors: the module's parameters and buffers by key.
    """

    name = "reference"
    max_plans = 64

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str = "cpu",
        reason: str = "as asked",
    ):  # fmt: skip
        self.dtype, self.device, self.reason = dtype, torch.device(device), reason
        self.interpreter = Interpreter(tensors, dtype, self.device)

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        return self.name, self.reason

    def release(self) -> None:
        """Folded weights are made again when they are needed; who keeps the old interpreter keeps those that it has."""
        self.interpreter = Interpreter(self.interpreter.tensors, self.dtype, self.device)

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        return lambda inputs: own_copies(plan, self.run(plan, inputs, watch), inputs[0])

    def run(self, plan: Plan, inputs: Sequence[Tensor], watch: Watch | None = None) -> list[Tensor]:
        """Results of the plan, in its order, for inputs in its order. watch: called with each item and its result."""
        values: dict[int, Tensor] = {v: x.to(self.device, self.dtype) for v, x in zip(plan.inputs, inputs)}
        for level, dead in zip(plan.levels, dead_after(plan)):
            results = [(item, self.interpreter.play(item, values)) for item in level.items]
            for item, result in results:
                values[item.out] = result
                if watch is not None:
                    watch(item, result)
            for value in dead:
                del values[value]
        return [values[v] for v in plan.outputs]

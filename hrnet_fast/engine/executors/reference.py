"""The reference executor: plays the Plan with plain torch operations, to tell a plan's faults from a kernel's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...plan import Level, Plan
from ...plan.buffers import dead_after
from ..executor import Executor, Run
from ..interpret import Interpreter, Watch


class ReferenceExecutor(Executor):
    """Plays any plan in any floating dtype on any device, one torch operation at a time.

    tensors: the module's parameters and buffers by key.
    """

    name = "reference"
    hands_over = False
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
        self.interpreter.release()

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        return lambda inputs: self.run(plan, inputs, watch)

    def run(
        self, plan: Plan, inputs: Sequence[Tensor], watch: Watch | None = None,
        arena: Tensor | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """Results of the plan, in its order, for inputs in its order.

        watch: called with each item and its result. arena: a flat tensor of at least `plan.arena` elements; every value
        then lives at its planned place there, which proves the places.
        """
        values: dict[int, Tensor] = {v: x.to(self.device, self.dtype) for v, x in zip(plan.inputs, inputs)}
        for level, dead in zip(plan.levels, dead_after(plan.levels, plan.outputs)):
            results = [(item, self.interpreter.play(item, values)) for item in level.items]
            for item, result in results:
                if arena is not None:
                    result = _store(arena, plan, item.out, result)
                values[item.out] = result
                if watch is not None:
                    watch(item, result)
            for value in dead:
                del values[value]
        return [values[v] for v in plan.outputs]


def _store(arena: Tensor, plan: Plan, value: int, result: Tensor) -> Tensor:
    """The result copied to its place; maps lie there channels-last, as engines keep them."""
    place = plan.values[value]
    if tuple(result.shape) != place.shape:
        raise AssertionError(f"value {value} has shape {tuple(result.shape)}, but the plan says {place.shape}")
    flat = arena[place.offset : place.offset + result.numel()]
    if result.dim() != 4:
        return flat.view(result.shape).copy_(result)
    n, c, h, w = result.shape
    return flat.view(n, h, w, c).permute(0, 3, 1, 2).copy_(result)

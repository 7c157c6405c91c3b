"""What items cost: multiply-adds, bytes, and the time that a machine's roofline allows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import torch

from .graph import Ref
from .ir import Conv, Function, Item, Level, Plan


@dataclass(frozen=True)
class Machine:
    """A roofline: what a machine computes and moves at best."""

    name: str
    flops: float  # a second
    bandwidth: float  # bytes a second


def multiply_adds(item: Item, plan: Plan) -> int:
    """Of convolutions, linear layers and matrix products; what else there is counts as moving bytes."""
    out = plan.values[item.out].shape
    if isinstance(item, Conv):
        return prod(out) * weights_of(item, plan) // out[1]
    if isinstance(item, Function):
        if item.name in ("Tensor.matmul", "torch.matmul", "torch.mm", "torch.bmm"):
            read = plan.values[item.reads[0]].shape
            first = isinstance(item.calls[0].args[0], Ref)  # else a parameter is, which the plan has no shape of
            return prod(out) * (read[-1] if first or len(read) == 1 else read[-2])
        if item.name == "functional.linear":
            return prod(plan.values[item.reads[0]].shape) * out[-1]
    return 0


def weights_of(item: Item, plan: Plan) -> int:
    """Elements of a convolution's weights; of a linear layer's."""
    out = plan.values[item.out].shape
    if isinstance(item, Conv):
        inputs = plan.values[item.sources[0].value].shape[1]
        return out[1] * inputs // item.conv.groups * prod(item.conv.kernel)
    if isinstance(item, Function) and item.name == "functional.linear":
        return plan.values[item.reads[0]].shape[-1] * out[-1]
    return 0


def traffic(item: Item, plan: Plan) -> int:
    """Elements moved if every operand were read once and the result written once."""
    return weights_of(item, plan) + sum(prod(plan.values[v].shape) for v in (*item.reads, item.out))


def direct_cost(plan: Plan, item: Item) -> tuple[int, int]:
    """Multiply-adds and elements moved of an item, by the definition of what it computes."""
    return multiply_adds(item, plan), traffic(item, plan)


def annotate(
    plan: Plan, dtype: torch.dtype, machine: Machine, choice: Callable[[Level], tuple[str, str]],
    cost_of: Callable[[Plan, Item], tuple[int, int]] = direct_cost,
) -> Plan:  # fmt: skip
    """The plan with every level's cost in `dtype`, roofline time, executor and reason filled in.

    cost_of: multiply-adds and elements moved by the kernel that plays an item, which the roofline time is for.
    """

    def cost(level: Level) -> Level:
        flops = 2 * sum(multiply_adds(item, plan) for item in level.items)
        moved = dtype.itemsize * sum(traffic(item, plan) for item in level.items)
        done = [sum(costs) for costs in zip(*(cost_of(plan, item) for item in level.items))]
        time = max(2 * done[0] / machine.flops, dtype.itemsize * done[1] / machine.bandwidth) * 1e6
        executor, reason = choice(level)
        return replace(level, flops=flops, bytes=moved, roofline_us=time, executor=executor, reason=reason)

    return replace(
        plan, levels=tuple(map(cost, plan.levels)), dtype=str(dtype).removeprefix("torch."), machine=machine.name
    )

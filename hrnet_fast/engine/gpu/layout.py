"""Where a plan's values lie: bordered maps that share memory only with maps of their own shape.

A border written once as zeros then stays zero for every tenant, and so do the padded channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap, bordered_size

from ...plan import Conv, Item, Plan, Value
from ...plan.lifetimes import lifetimes

LIMIT = 2**31 - 1  # elements that a kernel's 32-bit index reaches


def slots(plan: Plan) -> dict[int, int]:
    """Value -> slot; values of one slot have one shape and dtype, and no two of them live at the same level.

    Inputs have slots of their own, which no item ever writes.
    """
    life = lifetimes(plan)
    taken = {value: index for index, value in enumerate(plan.inputs)}
    free_from: dict[Value, list[tuple[int, int]]] = {}  # alike -> (last level that uses it, slot)
    count = len(taken)
    for value in sorted((v for v in life if v not in taken), key=lambda v: life[v]):
        birth, death = life[value]
        tenants = free_from.setdefault(plan.values[value], [])
        vacant = next((t for t in sorted(tenants) if t[0] < birth), None)
        if vacant is None:
            slot, count = count, count + 1
        else:
            tenants.remove(vacant)
            slot = vacant[1]
        tenants.append((death, slot))
        taken[value] = slot
    return taken


def unplaceable(plan: Plan, items: Sequence[Item] | None = None) -> str | None:
    """Why the kernels cannot address the maps of this plan, or of these items of it alone, or None."""
    values: Sequence[int] = range(len(plan.values))
    if items is None:
        items = tuple(plan.items())
    else:
        values = [value for item in items for value in (*item.reads, item.out)]
    formed = [formed_shape(item, plan) for item in items if isinstance(item, Conv) and item.has_prologue]
    shapes = [*(plan.values[value].shape for value in values), *formed]
    for shape in shapes:
        if len(shape) == 4 and bordered_size(shape) > LIMIT:
            return f"a map of shape {shape} has more elements than a 32-bit index reaches"
    return None


def formed_shape(item: Conv, plan: Plan) -> tuple[int, ...]:
    """Of the sum that a pointwise convolution forms and reads."""
    n, _, *size = plan.values[item.out].shape
    return (n, plan.values[item.sources[0].value].shape[1], *size)


@dataclass(frozen=True)
class Memory:
    """A plan's values in memory. maps: the 4-D ones but labels and masks. views: every one in its logical shape."""

    maps: Mapping[int, BorderedMap]
    views: Mapping[int, Tensor]


def allocate(plan: Plan, dtype: torch.dtype, device: torch.device) -> Memory:
    """One zeroed tensor a slot."""
    place = slots(plan)
    tensors: dict[int, Tensor] = {}
    maps: dict[int, BorderedMap] = {}
    views: dict[int, Tensor] = {}
    for value, slot in place.items():
        shape, own = plan.values[value].shape, plan.values[value].dtype
        is_map = len(shape) == 4 and own is None
        size = bordered_size(shape) if is_map else prod(shape)
        if slot not in tensors:
            tensors[slot] = torch.zeros(size, dtype=own or dtype, device=device)
        if is_map:
            maps[value] = BorderedMap(tensors[slot], shape)
            views[value] = maps[value].nchw()
        else:
            views[value] = tensors[slot].view(shape)
    return Memory(maps, views)

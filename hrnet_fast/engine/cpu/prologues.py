"""Sums that convolutions form while they read, as items of their own, since the CPU's kernels read maps alone."""

from __future__ import annotations

from dataclasses import replace

from ...plan import Conv, Level, Plan, Sum, Term, Value
from ..interpret import Watch


def with_prologues_as_sums(plan: Plan) -> Plan:
    """The plan with every sum that a convolution forms while it reads as an item of its own, a level before."""
    values, levels = list(plan.values), []
    for level in plan.levels:
        sums, items = [], []
        for item in level.items:
            if isinstance(item, Conv) and item.has_prologue:
                source = item.sources[0]
                size = source.resize.size if source.resize else values[source.value].shape[2:]
                out = len(values)
                values.append(Value((*values[source.value].shape[:2], *size)))
                sums.append(Sum(f"{item.name} (input)", out, item.sources, item.source_relu))
                item = replace(item, sources=(Term(out),), source_relu=False)
            items.append(item)
        levels += ([Level(tuple(sums))] if sums else []) + [Level(tuple(items))]
    return replace(plan, values=tuple(values), levels=tuple(levels))


def only_own_items(plan: Plan, watch: Watch | None) -> Watch | None:
    """Watches the plan's own items, not the sums that were written out beside them."""
    own = {item.out for item in plan.items()}
    return None if watch is None else lambda item, result: watch(item, result) if item.out in own else None

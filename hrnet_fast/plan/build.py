"""Module -> graph -> items -> levels -> checked Plan."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from torch import nn

from .check import check
from .graph import Call, Ref
from .ir import PREVIOUS, Concat, Conv, Item, Level, Plan, Sum, Term, Value
from .merge import merge
from .tracing import trace
from .tracing.modules import unwrap


def make_plan(module: nn.Module, *inputs: Any) -> Plan:
    """The checked Plan of `module` for inputs of these shapes (tensors, or lists of them; their data is not read).

    Raises PlanError, in one sentence, for a module that cannot be planned.
    """
    graph = trace(module, *inputs)
    items, level_of, shapes = merge(graph)
    kept = [*graph.inputs, *(item.out for item in items)]
    index = {value: new for new, value in enumerate(kept)}
    by_level: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        by_level[level_of[item.out]].append(_renumber(item, index))
    levels = tuple(Level(tuple(by_level[depth])) for depth in sorted(by_level))
    ins, outs = (tuple(index[v] for v in ends) for ends in (graph.inputs, graph.outputs))
    dtypes = {value: node.dtype for value, node in enumerate(graph.nodes)}
    values = tuple(Value(shapes[v], dtypes.get(v)) for v in kept)
    plan = Plan(type(unwrap(module)).__name__, values, ins, outs, levels, graph.output_tree)
    check(plan)
    return plan


def _renumber(item: Item, index: dict[int, int]) -> Item:
    def terms(given: tuple[Term, ...]) -> tuple[Term, ...]:
        return tuple(Term(index[t.value], t.resize) for t in given)

    def arguments(value: Any) -> Any:
        if isinstance(value, Ref):
            return Ref(index.get(value.value, PREVIOUS))
        return tuple(arguments(v) for v in value) if isinstance(value, tuple) else value

    out = index[item.out]
    if isinstance(item, Conv):
        return replace(item, out=out, sources=terms(item.sources), terms=terms(item.terms))
    if isinstance(item, Sum):
        return replace(item, out=out, terms=terms(item.terms))
    if isinstance(item, Concat):
        return replace(item, out=out, parts=terms(item.parts))
    calls = tuple(Call(call.function, arguments(call.args), arguments(call.kwargs)) for call in item.calls)
    return replace(item, out=out, calls=calls, reads=tuple(index[v] for v in item.reads))

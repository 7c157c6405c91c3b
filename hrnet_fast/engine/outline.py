"""Shapes and dtypes of a call's results before it runs: from plans made without data, also for a symbolic batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import SymInt, Tensor
from torch.utils import _pytree as pytree

from ..plan import Plan, Value, make_plan
from .locks import Lock
from .nesting import nested

Shape = tuple[int, ...]


class Outlines:
    """What plans of one module say of results: each is made at first sight, in about a tenth of a second, and kept.

    view: the module in evaluation mode.
    """

    def __init__(self, view: torch.nn.Module) -> None:
        self._view = view
        self._results: dict[tuple[str, tuple[Shape, ...]], tuple[Value, ...]] = {}
        self._nesting: dict[str, Any] = {}
        self._lock = Lock()

    def results(self, structure: str, inputs: Sequence[Tensor]) -> list[Value]:
        """The results of the call `structure`, in whose shapes a symbolic batch stays a symbol.

        Any other symbolic side is taken as the number at hand, which the tracer guards. Raises ValueError for one that
        has no number yet, and for results whose shapes do not go with the batch.
        """
        batch = inputs[0].shape[0]
        if not isinstance(batch, SymInt):
            return list(self._get(structure, [tuple(map(_number, x.shape)) for x in inputs]))
        sides = [tuple(map(_number, x.shape[1:])) for x in inputs]
        for x in inputs[1:]:
            torch._check(x.shape[0] == batch, lambda: "the maps of one call must have the same batch")
        two, three = (self._get(structure, [(n, *own) for own in sides]) for n in (2, 3))
        return [
            Value(tuple(_scaled(a, b, batch) for a, b in zip(one.shape, other.shape)), one.dtype)
            for one, other in zip(two, three)
        ]

    def note(self, structure: str, output_tree: Any) -> None:
        """Keep how the results of a call nest."""
        if structure not in self._nesting:
            self._nesting[structure] = pytree.tree_unflatten(list(range(output_tree.num_leaves)), output_tree)

    def nesting(self, structure: str) -> Any:
        """How the results of a call nest, positions standing for tensors; known once it was outlined or has run."""
        return self._nesting[structure]

    def _get(self, structure: str, shapes: Sequence[Shape]) -> tuple[Value, ...]:
        key = (structure, tuple(shapes))
        with self._lock:
            if key not in self._results:
                # Modes and the compiler belong to a thread: in one of its own, planning meets none of the caller's.
                with ThreadPoolExecutor(1) as pool:
                    plan = pool.submit(_plan, self._view, structure, shapes).result()
                self.note(structure, plan.output_tree)
                self._results[key] = tuple(plan.values[v] for v in plan.outputs)
            return self._results[key]


def _plan(view: torch.nn.Module, structure: str, shapes: Sequence[Shape]) -> Plan:
    return make_plan(view, *nested(structure, [torch.empty(shape, device="meta") for shape in shapes]))


def _number(side: int | SymInt) -> int:
    try:
        return int(side)
    except Exception as error:  # torch has a private error for each kind of symbol without a number
        raise ValueError(
            f"a channel count, height or width that depends on data ({side}) cannot be planned: only the batch may"
        ) from error


def _scaled(at_two: int, at_three: int, batch: SymInt) -> int | SymInt:
    """A side of a result for any batch, from what it is for batches of two and three."""
    if at_two == at_three:
        return at_two
    if at_two * 3 != at_three * 2:
        raise ValueError(
            f"a result's side is {at_two} for a batch of two and {at_three} for one of three, so it cannot be planned "
            "for a symbolic batch: compile with dynamic=False"
        )
    return at_two // 2 * batch

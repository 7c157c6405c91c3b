"""How a call nests its inputs and its results, as text and tuples, which an op and torch.compile take."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from torch import Tensor, fx
from torch.utils import _pytree as pytree

# What a network takes for one argument
Input: TypeAlias = "Tensor | tuple[Input, ...] | list[Any] | None"


def describe(inputs: Any) -> tuple[str, list[Tensor]]:
    """The structure of nested inputs, and their tensors in order. Raises TypeError for anything else but None.

    The structure is a Python literal of the tensors' positions, e.g. "(0,)" for one image, "([0,1,],)" for a list of
    two maps.
    """
    leaves: list[Tensor] = []
    return _structure(inputs, leaves), leaves


NOT_FOR_FX = (
    "torch.fx cannot trace an optimized network: trace its `original`, or a module around it by a tracer that takes "
    "OptimizedModule for a leaf (is_leaf_module; torchvision's leaf_modules)"
)


def _structure(given: Any, leaves: list[Tensor]) -> str:
    if isinstance(given, Tensor):
        leaves.append(given)
        return str(len(leaves) - 1)
    if given is None:
        return "None"
    if isinstance(given, fx.Proxy):
        raise TypeError(NOT_FOR_FX)
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"inputs must be tensors, or lists of them, not {type(given).__name__}: optimize a module whose forward "
            "gives the network what is no tensor"
        )
    inside = "".join([_structure(part, leaves) + "," for part in given])
    return f"[{inside}]" if isinstance(given, list) else f"({inside})"


def nested(structure: str, leaves: Sequence[Tensor]) -> tuple[Any, ...]:
    """Inputs from their structure and their tensors."""
    return pytree.tree_map(lambda position: None if position is None else leaves[position], _literal(structure))


@cache
def _literal(structure: str) -> Any:
    return ast.literal_eval(structure)


_classes: dict[str, Any] = {}  # of results, by name


def in_tuples(nesting: Any) -> Any:
    """Nested results as (name of the class, keys, parts), positions standing for tensors.

    torch.compile takes tuples and names as constants, but no dictionaries and classes.
    """
    if not isinstance(nesting, (dict, list, tuple)):
        return nesting
    kind = type(nesting)
    name = f"{kind.__module__}.{kind.__qualname__} {id(kind)}"
    _classes[name] = kind
    keys, parts = (tuple(nesting), nesting.values()) if isinstance(nesting, dict) else ((), nesting)
    return name, keys, tuple(map(in_tuples, parts))


def from_tuples(nesting: Any, results: Sequence[Tensor]) -> Any:
    """The results nested as they were before `in_tuples`."""
    if not isinstance(nesting, tuple):
        return None if nesting is None else results[nesting]
    name, keys, parts = nesting
    kind, inside = _classes[name], [from_tuples(part, results) for part in parts]
    if issubclass(kind, dict):
        return kind(zip(keys, inside))
    return kind(*inside) if hasattr(kind, "_fields") else kind(inside)

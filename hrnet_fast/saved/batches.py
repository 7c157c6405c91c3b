"""One graph for batches of any size, from graphs that were traced for two and three images."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from ..plan.graph import Constant, constant


@dataclass(frozen=True)
class PerImage:
    """A number of a graph that is `each` times the number of images."""

    each: int


def for_batch(graph: Any, images: int) -> Any:
    """A graph, or a part of one, for so many images."""
    if isinstance(graph, PerImage):
        return images * graph.each
    if isinstance(graph, Constant):
        return constant(for_batch(graph.call, images))
    if isinstance(graph, tuple):
        return tuple(for_batch(part, images) for part in graph)
    if isinstance(graph, slice) or is_dataclass(graph):
        kind: Any = type(graph)
        return kind(*(for_batch(part, images) for part in _parts(graph)))
    return graph


def for_any_batch(two: Any, three: Any) -> Any:
    """The graph, or part of one, of which two and three images have these. Raises ValueError if there is none."""
    if type(two) is type(three):
        if two == three:
            return two
        if type(two) is int and two * 3 == three * 2:
            return PerImage(two // 2)
        if isinstance(two, Constant):
            return constant(for_any_batch(two.call, three.call))
        if isinstance(two, tuple) and len(two) == len(three):
            return tuple(map(for_any_batch, two, three))
        if isinstance(two, slice) or is_dataclass(two):
            kind: Any = type(two)
            return kind(*map(for_any_batch, _parts(two), _parts(three)))
    raise ValueError(f"{two!r} for two images is {three!r} for three")


def _parts(value: Any) -> list[Any]:
    """What a slice or a dataclass is made of, in order."""
    names = ("start", "stop", "step") if isinstance(value, slice) else [field.name for field in fields(value)]
    return [getattr(value, name) for name in names]

"""One graph for batches of any size, from graphs that were traced for two and three images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from ..plan.graph import Constant, Graph


@dataclass(frozen=True)
class PerImage:
    """A number of a graph that is `each` times the number of images."""

    each: int


class DependsOnBatch(ValueError):
    """Graphs for different batches differ in more than numbers that grow with the batch."""


def for_any_batch(two: Graph, three: Graph) -> Graph:
    """The graph of which two and three images have these. Raises DependsOnBatch where there is none."""
    return _joined(two, three)


def for_batch(graph: Any, images: int) -> Any:
    """A graph, or a part of one, for so many images."""
    return images * graph.each if isinstance(graph, PerImage) else rebuilt(graph, lambda part: for_batch(part, images))


def rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """A tuple, slice or dataclass with each of its parts changed; anything else as it is."""
    if isinstance(value, Constant):
        return constant(change(value.call))
    if isinstance(value, tuple):
        return tuple(map(change, value))
    if isinstance(value, slice):
        return slice(*map(change, (value.start, value.stop, value.step)))
    return type(value)(*map(change, parts(value))) if is_dataclass(value) else value


def constant(call: Any) -> Constant:
    return Constant(repr(call), call)


def parts(value: Any) -> list[Any]:
    """The fields of a dataclass in order."""
    return [getattr(value, field.name) for field in fields(value)]


def _joined(two: Any, three: Any) -> Any:
    if type(two) is type(three):
        if two == three:
            return two
        if type(two) is int and two * 3 == three * 2:
            return PerImage(two // 2)
        if isinstance(two, Constant):
            return constant(_joined(two.call, three.call))
        if isinstance(two, slice):
            return slice(*map(_joined, *([s.start, s.stop, s.step] for s in (two, three))))
        if isinstance(two, tuple) and len(two) == len(three):
            return tuple(map(_joined, two, three))
        if is_dataclass(two):
            return type(two)(*map(_joined, parts(two), parts(three)))
    raise DependsOnBatch(f"{two!r} for two images is {three!r} for three")

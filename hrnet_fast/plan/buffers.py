"""Places every value in one arena, so that a plan needs one allocation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

from .ir import Conv, Level, Plan, Sum, Value

GRANULE = 64  # elements; every value starts at a multiple, so vector and bulk copies are aligned in any dtype


def lifetimes(levels: Sequence[Level], inputs: Sequence[int], outputs: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Value -> (level that writes it, last level that reads it); results live to the end, inputs from the start."""
    born = {item.out: index for index, level in enumerate(levels) for item in level.items}
    born.update(dict.fromkeys(inputs, -1))
    last = dict(born)
    for index, level in enumerate(levels):
        for item in level.items:
            for value in item.reads:
                last[value] = index
    for value in outputs:
        last[value] = len(levels)
    return {value: (born[value], last[value]) for value in born}


def dead_after(levels: Sequence[Level], outputs: Sequence[int]) -> list[list[int]]:
    """For each level, the values that nothing reads any more once it has been played."""
    last = {item.out: index for index, level in enumerate(levels) for item in level.items}
    last |= {value: index for index, level in enumerate(levels) for item in level.items for value in item.reads}
    dead: list[list[int]] = [[] for _ in levels]
    for value, index in last.items():
        if value not in outputs:
            dead[index].append(value)
    return dead


def most_alive(plan: Plan) -> int:
    """Elements of all values, but for the inputs, that are needed at the same level, at most."""
    life = lifetimes(plan.levels, (), plan.outputs)
    alive = [0] * len(plan.levels)
    for item in plan.items():
        first, last = life[item.out]
        for level in range(first, min(last + 1, len(alive))):
            alive[level] += prod(plan.values[item.out].shape)
    return max(alive, default=0)


def in_place(
    shapes: Sequence[tuple[int, ...]], levels: Sequence[Level], inputs: Sequence[int], outputs: Sequence[int]
) -> dict[int, int]:
    """Result -> the summand of its item whose memory it may take: of its shape, and read by nothing else any more.

    For items that read a summand's pixel only where they write it next.
    """
    life = lifetimes(levels, inputs, outputs)
    kept = {*inputs, *outputs}
    taken: dict[int, int] = {}
    for index, level in enumerate(levels):
        readers = Counter(value for item in level.items for value in item.reads)
        for item in level.items:
            for term in item.terms if isinstance(item, (Conv, Sum)) else ():
                value = term.value
                last = life[value][1] == index and readers[value] == 1 and value not in kept
                if last and term.resize is None and shapes[value] == shapes[item.out]:
                    taken[item.out] = value
                    break
    return taken


def padded_size(shape: Sequence[int], channel_multiple: int) -> int:
    """Elements that a tensor takes: the channels of a map padded to a multiple, the whole to a granule."""
    if len(shape) == 4:
        n, c, h, w = shape
        count = n * h * w * (-(-c // channel_multiple) * channel_multiple)
    else:
        count = prod(shape)
    return -(-count // GRANULE) * GRANULE


def place(
    shapes: Sequence[tuple[int, ...]], levels: Sequence[Level], inputs: Sequence[int], outputs: Sequence[int],
    size_of: Callable[[Sequence[int]], int], taken: Mapping[int, int] = MappingProxyType({}),
) -> tuple[tuple[Value, ...], int]:  # fmt: skip
    """Values with their offsets, and the arena's size in elements, of which a value takes `size_of` its shape.

    The largest first, each at the lowest place that is free. taken: as `in_place` has it, by the order of levels.

    A place is free where no value already there lives at the same level. Writing and reading count as living, so an
    item never writes what another item of its level reads.
    """
    life = lifetimes(levels, inputs, outputs)
    values = [Value(tuple(shape)) for shape in shapes]
    first: dict[int, int] = {}  # result -> the value that had its memory first
    for result, before in taken.items():
        origin = first[result] = first.get(before, before)
        life[origin] = (life[origin][0], life.pop(result)[1])
    sizes = {v: size_of(shapes[v]) for v in life if v not in set(inputs)}
    placed: list[tuple[int, int, int, int]] = []  # first level, last level, offset, end
    for value in sorted(sizes, key=lambda v: (-sizes[v], life[v])):
        birth, death = life[value]
        offset = 0
        for start, end in sorted(p[2:] for p in placed if p[0] <= death and birth <= p[1]):
            if start - offset >= sizes[value]:
                break
            offset = max(offset, end)
        placed.append((birth, death, offset, offset + sizes[value]))
        values[value] = Value(tuple(shapes[value]), offset, sizes[value])
    for result, origin in first.items():
        values[result] = Value(tuple(shapes[result]), values[origin].offset, values[origin].size)
    return tuple(values), max((p[3] for p in placed), default=0)

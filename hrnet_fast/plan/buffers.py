"""Places every value in one arena, so that a plan needs one allocation."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from .ir import Level, Value

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
    channel_multiple: int = 8,
) -> tuple[tuple[Value, ...], int]:  # fmt: skip
    """Values with their offsets, and the arena's size: first fit over lifetimes, large values first within a level.

    A value may take a place only after the level that last read the previous owner: items of one level run together.
    """
    life = lifetimes(levels, inputs, outputs)
    values = [Value(tuple(shape)) for shape in shapes]
    placed: list[tuple[int, int, int]] = []  # offset, end, last level of those still alive
    arena = 0
    order = sorted((v for v in life if v not in set(inputs)), key=lambda v: (life[v][0], -prod(shapes[v]), v))
    for value in order:
        birth, death = life[value]
        placed = [p for p in placed if p[2] >= birth]
        size = padded_size(shapes[value], channel_multiple)
        offset = 0
        for start, end, _ in sorted(placed):
            if start - offset >= size:
                break
            offset = max(offset, end)
        placed.append((offset, offset + size, death))
        values[value] = Value(tuple(shapes[value]), offset, size)
        arena = max(arena, offset + size)
    return tuple(values), arena

"""From which level to which each value of a plan is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

from .ir import Level, Plan


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


def dead_after(plan: Plan) -> list[list[int]]:
    """For each level, the values that nothing reads any more once it has been played."""
    dead: list[list[int]] = [[] for _ in plan.levels]
    for value, (_, last) in lifetimes(plan.levels, plan.inputs, plan.outputs).items():
        if 0 <= last < len(dead):
            dead[last].append(value)
    return dead


def most_alive(plan: Plan) -> int:
    """Elements of all values, but for the inputs, that are needed at the same level, at most."""
    alive: Counter[int] = Counter()
    for value, (first, last) in lifetimes(plan.levels, (), plan.outputs).items():
        for level in range(first, last + 1):
            alive[level] += prod(plan.values[value].shape)
    return max(alive.values(), default=0)

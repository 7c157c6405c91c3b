"""From which level to which each value of a plan is needed."""

from __future__ import annotations

from collections import Counter
from math import prod

from .ir import Plan


def lifetimes(plan: Plan) -> dict[int, tuple[int, int]]:
    """Value that an item writes -> (its level, the last level that reads it); the plan's results live to the end."""
    born = {item.out: index for index, level in enumerate(plan.levels) for item in level.items}
    last = _last_uses(plan) | dict.fromkeys(plan.outputs, len(plan.levels))
    return {value: (level, last[value]) for value, level in born.items()}


def dead_after(plan: Plan) -> list[list[int]]:
    """For each level, the values that nothing reads any more once it has been played."""
    dead: list[list[int]] = [[] for _ in plan.levels]
    for value, last in _last_uses(plan).items():
        if value not in plan.outputs:
            dead[last].append(value)
    return dead


def most_alive(plan: Plan) -> int:
    """Elements of all values, but for the inputs, that are needed at the same level, at most."""
    alive: Counter[int] = Counter()
    for value, (first, last) in lifetimes(plan).items():
        for level in range(first, last + 1):
            alive[level] += prod(plan.values[value].shape)
    return max(alive.values(), default=0)


def _last_uses(plan: Plan) -> dict[int, int]:
    """Value -> the last level that writes or reads it."""
    levels = enumerate(plan.levels)
    return {value: index for index, level in levels for item in level.items for value in (item.out, *item.reads)}

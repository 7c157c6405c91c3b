"""Proves a plan safe to play without running it."""

from __future__ import annotations

from math import prod

from .errors import PlanError
from .ir import Plan


def check(plan: Plan) -> None:
    """Raise PlanError, naming item and level, unless the plan is safe.

    Every value is written once, before the level that reads it; items of a level do not depend on each other; a value's
    place holds it and nothing else from the level that writes it to the last that reads it; results live to the end.
    """
    written: dict[int, int] = dict.fromkeys(plan.inputs, -1)
    for index, level in enumerate(plan.levels):
        for item in level.items:
            for value in item.reads:
                if value not in written or written[value] >= index:
                    raise PlanError(f"level {index}: {item.name} reads value {value} before a level has written it")
        for item in level.items:
            if item.out in written:
                raise PlanError(f"level {index}: {item.name} writes value {item.out} a second time")
            written[item.out] = index
    for value in plan.outputs:
        if value not in written:
            raise PlanError(f"result value {value} is never written")
    _check_places(plan, written)


def _check_places(plan: Plan, written: dict[int, int]) -> None:
    """Replay the arena level by level: who owns which range, and whether readers find what they expect."""
    last_read = {v: i for i, level in enumerate(plan.levels) for item in level.items for v in item.reads}
    last_read.update(dict.fromkeys(plan.outputs, len(plan.levels)))
    owners: list[tuple[int, int, int]] = []  # start, end, value
    for index, level in enumerate(plan.levels):
        owners = [o for o in owners if last_read.get(o[2], written[o[2]]) >= index]
        for item in level.items:
            value = plan.values[item.out]
            if value.offset is None or value.size < prod(value.shape):
                raise PlanError(f"level {index}: {item.name} has no place, or too small a one, for its result")
            start, end = value.offset, value.offset + value.size
            if end > plan.arena:
                raise PlanError(f"level {index}: {item.name} writes past the arena's end ({end} > {plan.arena})")
            for other_start, other_end, other in owners:
                if start < other_end and other_start < end:
                    raise PlanError(f"level {index}: {item.name} writes over value {other}, which is still needed")
            owners.append((start, end, item.out))

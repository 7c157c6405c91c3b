"""Proves a plan safe to play without running it."""

from __future__ import annotations

from .errors import PlanError
from .ir import Plan


def check(plan: Plan) -> None:
    """Raise PlanError, naming item and level, unless the plan is safe.

    Every value is written once, before the level that reads it, so that the items of a level do not depend on each
    other; every result is written.
    """
    written = set(plan.inputs)
    for index, level in enumerate(plan.levels):
        for item in level.items:
            for value in item.reads:
                if value not in written:
                    raise PlanError(f"level {index}: {item.name} reads value {value} before a level has written it")
        for item in level.items:
            if item.out in written:
                raise PlanError(f"level {index}: {item.name} writes value {item.out} a second time")
            written.add(item.out)
    for value in plan.outputs:
        if value not in written:
            raise PlanError(f"result value {value} is never written")

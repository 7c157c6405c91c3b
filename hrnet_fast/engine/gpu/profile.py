"""Where the time of a network goes on a GPU, level by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .timing import within_a_graph


def profile_levels(
    steps: Sequence[Any], clock: Callable[[Callable[[], None]], float] = within_a_graph
) -> list[float]:
    """Microseconds of each level as a node of a graph, repeated alone: its maps lie in L2, as they do after the level
    before it. The sum leaves out what overlapping launches save."""
    return [clock(step) for step in steps]

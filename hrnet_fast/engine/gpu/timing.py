"""Times of GPU work, each run alone between two synchronisations, as medians in microseconds."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from .program import capture

COPIES = 20  # of a step in one graph, so that what a replay costs by itself hardly counts


def isolated(work: Callable[[], object], repeats: int = 50, warm: int = 5) -> float:
    """Median time of `work` on the current GPU, by events around each run."""
    for _ in range(warm):
        work()
    torch.cuda.current_stream().synchronize()  # of the whole device, it would break another thread's capture
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3)
    return statistics.median(times)


def within_a_graph(step: Callable[[], None], repeats: int = 20) -> float:
    """Time of one step as a node of a graph: of `COPIES` in a row, each waiting for the one before it."""

    def row() -> None:
        for _ in range(COPIES):
            step()

    return isolated(capture(row).replay, repeats) / COPIES

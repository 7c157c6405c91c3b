"""Times of GPU work, each run alone between two synchronisations, as medians in microseconds."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from .tape import capture

COPIES = 20  # of a step in one graph, so that what a replay costs by itself hardly counts
HEAD_START = 400_000  # GPU clock ticks, some 0.2 ms: the host launches a graph in that time


def isolated(work: Callable[[], object], repeats: int = 50, warm: int = 5, head_start: bool = False) -> float:
    """Median time of `work` on the current GPU, by events around each run.

    head_start: keep the GPU busy before, until the host has launched everything; the time is then the GPU's own, and
    else what a caller on an idle GPU waits.
    """
    for _ in range(warm):
        work()
    torch.cuda.current_stream().synchronize()  # of the whole device, it would break another thread's capture
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        if head_start:
            torch.cuda._sleep(HEAD_START)
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

    return isolated(capture(row).replay, repeats, head_start=True) / COPIES

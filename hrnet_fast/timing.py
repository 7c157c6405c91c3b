"""Times of calls that take turns, so that they can be compared."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


def percentile(samples: Sequence[float], q: float) -> float:
    """The q-th percentile (0..100) by linear interpolation; ValueError if there are no samples."""
    if not len(samples):
        raise ValueError("no samples to take a percentile of")
    return float(np.percentile(np.asarray(samples, dtype=np.float64), q))


@dataclass(frozen=True)
class Timing:
    """Seconds of each timed call of one runner."""

    samples: Sequence[float]

    def microseconds(self, q: float) -> float:
        return 1e6 * percentile(self.samples, q)


def interleave(
    calls: Mapping[str, Callable[[], object]],
    *,
    budget_s: float,
    min_rounds: int = 3,
    calls_per_turn: int = 3,
    turn_s: float = 0.5,
    warm: Mapping[str, Callable[[], object]] | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, Timing]:
    """Times the calls in turns, so that a machine that drifts or is disturbed troubles all of them alike.

    Each round plays every call once in a new random order. A turn is one untimed call, which refills the caches and
    outlasts what the previous runner's threads still do, then up to `calls_per_turn` timed ones, until `turn_s` seconds
    are spent on them. After the first round a call that lasts longer than that does without the untimed one. Rounds go
    on until `budget_s` seconds are spent, but at least `min_rounds` times.
    A call must itself wait for its device (`torch.cuda.synchronize`).
    warm: what a turn of each plays untimed, where that is not the call itself.
    progress: gets the share of the work done, 0..1, after each turn.
    """
    samples: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    shuffle = random.Random(0).shuffle
    start, rounds = time.perf_counter(), 0
    while calls and (rounds < min_rounds or time.perf_counter() - start < budget_s):
        shuffle(order)
        for turn, name in enumerate(order):
            call, timed = calls[name], samples[name]
            if not timed or timed[-1] <= turn_s:
                (warm or calls)[name]()
            turn_start = time.perf_counter()
            for _ in range(calls_per_turn):
                before = time.perf_counter()
                call()
                after = time.perf_counter()
                timed.append(after - before)
                if after - turn_start > turn_s:
                    break
            by_rounds = (rounds + (turn + 1) / len(order)) / max(1, min_rounds)
            by_time = (time.perf_counter() - start) / budget_s if budget_s > 0 else 1.0
            progress(min(1.0, by_rounds, by_time))
        rounds += 1
    progress(1.0)
    return {name: Timing(taken) for name, taken in samples.items()}

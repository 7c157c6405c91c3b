"""Plays jobs within a budget of time: those that are missing, in their order, some built beside each other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.gpu.children import end_all, run_child
from benchmarks.gpu.jobs import Job
from benchmarks.gpu.store import Row, Store
from benchmarks.gpu.turns import FILE
from benchmarks.sources import WORK
from hrnet_fast.processor import available_cores

_FIRST = 0.8  # a job is begun with this share of the whole budget left, though it may take longer


@dataclass
class Budget:
    """Seconds for a run, counted from `begun` (of `time.monotonic`)."""

    seconds: float
    begun: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float:
        return self.begun + self.seconds

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def suffices(self, expected_s: float) -> bool:
        return self.left >= min(expected_s, _FIRST * self.seconds)


def play(
    jobs: Iterable[Job],
    store: Store,
    budget: Budget,
    *,
    only: str = "*",
    beside: int | None = None,
    said: Callable[[Row], None] = lambda row: None,
    child: Callable[..., set[str]] = run_child,
) -> list[str]:
    """Runs what the store lacks, and returns the names of rows that the budget left for another run.

    only: a shell wildcard that names must match. beside: jobs built at once where they allow it; None for what the
    cores bear. said: gets each row. child: as `run_child`.
    """
    left: list[str] = []
    missing = (job.only({n for n in job.names if fnmatch(n, only) and not store.done(job.part, n)}) for job in jobs)
    for batch in _batches((job for job in missing if job), beside or max(1, min(6, available_cores() // 2))):
        hopeless = [job for job in batch if job.unless and store.gave_up(*job.unless)]
        batch = [job for job in batch if job not in hopeless]
        left += [name for job in hopeless for name in job.names]
        if not batch:
            continue
        if not budget.suffices(max(job.expected_s for job in batch)):
            left += [name for job in batch for name in job.names]
            continue
        for job, unmade in zip(batch, _run(batch, store, budget.deadline, said, child), strict=True):
            left += [name for name in job.names if name in unmade or not store.done(job.part, name)]
    return left


def _batches(jobs: Iterable[Job], most: int) -> Iterator[list[Job]]:
    """Neighbours that may be built beside each other together, at most `most`; all others alone."""
    batch: list[Job] = []
    for job in jobs:
        if batch and (not job.beside or len(batch) == most):
            yield batch
            batch = []
        batch.append(job)
        if not job.beside:
            yield batch
            batch = []
    if batch:
        yield batch


def _run(batch: list[Job], store: Store, deadline: float, said: Callable[[Row], None], child) -> list[set[str]]:
    """Each job in a child; children of one batch take turns at timing through one lock."""
    WORK.mkdir(parents=True, exist_ok=True)
    threads = max(1, available_cores() // len(batch))
    caches = {
        "TORCHINDUCTOR_CACHE_DIR": str(WORK / "inductor"),
        "TRITON_CACHE_DIR": str(WORK / "triton"),
        "TORCHINDUCTOR_COMPILE_THREADS": str(threads),
    }

    def one(job: Job, **turns: str) -> set[str]:
        with _ending_all():
            return child(job, deadline, lambda row: said(store.add(job.part, row)), {**caches, **turns})

    if len(batch) == 1:
        return [one(batch[0])]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(batch)) as pool, _ending_all():
        turns = Path(folder, "turns")
        turns.touch()
        return list(pool.map(lambda job: one(job, **{FILE: str(turns)}), batch))


@contextmanager
def _ending_all() -> Iterator[None]:
    """What goes wrong, an interruption too, ends every child: nobody waits for one that is not needed any more."""
    try:
        yield
    except BaseException:
        end_all()
        raise

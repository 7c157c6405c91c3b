"""Turns at the GPU: many processes may build at once, but one that runs what it built has the machine to itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "HRNET_FAST_BENCH_TURNS"  # environment: the file whose lock all children of a batch share
WAITS, RUNS = "@waits", "@runs"  # lines of a child's output: what it waits for others does not count as its own time


class Turns:
    """Holds the right to build from the start; after `alone`, nobody else builds or runs until it is closed.

    Libraries choose algorithms by timing them when a network first runs, so that it too is done alone.
    """

    def __init__(self, path: Path | None):
        self._file = None if path is None else open(path, "a")  # noqa: SIM115
        self._alone = False
        self._lock(fcntl.LOCK_SH)

    def alone(self) -> None:
        """Waits until no other builds or runs. May be called again."""
        if not self._alone:
            self._lock(fcntl.LOCK_UN)
            self._lock(fcntl.LOCK_EX)
            self._alone = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _lock(self, kind: int) -> None:
        if self._file is None:
            return
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            print(WAITS, flush=True)
            fcntl.flock(self._file, kind)
            print(RUNS, flush=True)


@contextmanager
def gpu_turns() -> Iterator[Turns]:
    """The turns of the batch that this process belongs to; none where it is alone."""
    path = os.environ.get(FILE)
    turns = Turns(Path(path) if path else None)
    try:
        yield turns
    finally:
        turns.close()

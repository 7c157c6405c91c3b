"""Turns at the GPU: many processes may build at once, but one that times has the GPU and the host to itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "HRNET_FAST_BENCH_TURNS"  # environment: the file whose lock all children of a batch share


class Turns:
    """Holds the right to build from the start; `alone` waits until all others have built, too."""

    def __init__(self, path: Path | None):
        self._file = None if path is None else open(path, "a")  # noqa: SIM115
        self._lock(fcntl.LOCK_SH)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else builds or times meanwhile. Entered once: after it nothing is built that others would wait for."""
        self._lock(fcntl.LOCK_UN)
        self._lock(fcntl.LOCK_EX)
        yield
        self._lock(fcntl.LOCK_UN)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _lock(self, kind: int) -> None:
        if self._file is not None:
            fcntl.flock(self._file, kind)


@contextmanager
def gpu_turns() -> Iterator[Turns]:
    """The turns of the batch that this process belongs to; none where it is alone."""
    path = os.environ.get(FILE)
    turns = Turns(Path(path) if path else None)
    try:
        yield turns
    finally:
        turns.close()

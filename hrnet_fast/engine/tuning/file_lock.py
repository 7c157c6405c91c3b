"""A lock among processes, held by one of them at a time and let go with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def file_lock(path: Path, timeout_s: float = 10.0) -> Iterator[None]:
    """Holds the lock of the file `path`, which is made if need be and stays.

    Where the system or the file system knows no such locks, nothing is held. Raises OSError for a file that cannot be
    opened, TimeoutError where another process keeps the lock.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    deadline = time.monotonic() + timeout_s
    with open(path, "a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has held {path} for {timeout_s:g} s") from None
                time.sleep(0.005)
            except OSError:  # a file system without locks
                break
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough: a child forked meanwhile has the file too

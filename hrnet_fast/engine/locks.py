"""A lock that is open in a forked child, where the thread that held it does not live on."""

from __future__ import annotations

import os
import threading
import weakref


class Lock:
    """A context manager. What it guards must be whole between any two of its statements: a fork may come there.

    reentrant: whether the thread that holds it may take it again.
    """

    def __init__(self, reentrant: bool = False):
        self._make = threading.RLock if reentrant else threading.Lock
        self._lock = self._make()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_all: weakref.WeakSet[Lock] = weakref.WeakSet()


def _open_all() -> None:
    for lock in _all:
        lock._lock = lock._make()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)

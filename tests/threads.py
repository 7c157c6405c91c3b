"""Calls by a thread each, all at once."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def at_once(call: Callable, given: Iterable[Any]) -> list[Any]:
    """What `call` returns of each, in order; what it raises is raised here."""
    given = list(given)
    gate = threading.Barrier(len(given))

    def work(one: Any) -> Any:
        gate.wait()
        return call(one)

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(work, given))

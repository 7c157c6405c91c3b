"""A bar for what takes long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DELAY = 2.0  # seconds without a bar


@contextmanager
def progress_bar(title: str, total: int | None, unit: str) -> Iterator[Callable[[int], object]]:
    """Yields a function that is told how many more are done; the bar shows on a terminal, after two seconds.

    total: None if it is not known. Without tqdm there is no bar.
    """
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda more: None
        return
    quiet = not sys.stderr.isatty()
    with tqdm(desc=title, total=total, unit=unit, delay=_DELAY, disable=quiet, file=sys.stderr, leave=False) as bar:
        yield bar.update

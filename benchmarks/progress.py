"""Lines and bars that say what a long run is doing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

_BAR = 30


class Progress:
    """Writes to `stream`, with whatever must be lifted for that (pytest's capture) lifted by `uncaptured`.

    On a terminal a step shows its name while it runs; elsewhere (a log) each step is one line when it ends, and a bar
    says nothing until it is full.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        uncaptured: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        self._stream = stream
        self._uncaptured = uncaptured

    def line(self, text: str) -> None:
        self._write(f"{text}\n")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Announces `text`, and adds the seconds when the block ends."""
        start = time.perf_counter()
        if self._is_terminal:
            self._write(f"  {text} …")
        yield
        again = "\r" if self._is_terminal else ""
        self._write(f"{again}  {text}: {time.perf_counter() - start:.1f} s\n")

    @contextmanager
    def bar(self, text: str) -> Iterator[Callable[[float], None]]:
        """Yields a function that takes the share of the work done, 0..1."""
        last = 0.0

        def update(fraction: float) -> None:
            nonlocal last
            now = time.perf_counter()
            if self._is_terminal and now - last > 0.2:
                last = now
                filled = round(_BAR * fraction)
                self._write(f"\r  {text} [{'█' * filled}{'·' * (_BAR - filled)}] {fraction:4.0%}")

        with self.step(text):
            yield update
            if self._is_terminal:
                self._write("\r" + " " * (len(text) + _BAR + 12))

    @property
    def _is_terminal(self) -> bool:
        return (self._stream or sys.stderr).isatty()

    def _write(self, text: str) -> None:
        with self._uncaptured():
            print(text, end="", file=self._stream or sys.stderr, flush=True)

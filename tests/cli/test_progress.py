"""The bar of long runs."""

import io
import sys

import pytest

from hrnet_fast.cli import progress
from hrnet_fast.cli.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "delay", "shown"),
    [(Terminal(), 0.0, True), (Terminal(), 60.0, False), (io.StringIO(), 0.0, False)],
    ids=["terminal", "done before the delay", "log"],
)
def test_it_shows_on_a_terminal_after_its_delay(monkeypatch, stream, delay, shown):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_DELAY", delay)
    with progress_bar("pose", 4, "file") as update:
        for _ in range(4):
            update(1)
    assert ("pose" in stream.getvalue() and "/4" in stream.getvalue()) == shown


def test_without_tqdm_the_work_goes_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress_bar("pose", None, "file") as update:
        update(3)

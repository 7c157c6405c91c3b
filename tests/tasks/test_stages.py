"""The clock of stages."""

import time

import pytest

from hrnet_fast.tasks.stages import Stages, clock


@pytest.fixture
def now(monkeypatch):
    """A clock that stands still until it is set."""
    at = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: at[0])
    return at


def test_seconds_add_up_by_stage_in_the_order_of_their_first_begin(now):
    stages = Stages()
    for _ in range(3):
        with stages("decode"):
            now[0] += 2
        now[0] += 100
        with stages("crop"):
            now[0] += 1
    assert stages.seconds == {"decode": 6.0, "crop": 3.0}
    assert list(stages.seconds) == ["decode", "crop"]


def test_a_stage_inside_another_counts_once(now):
    stages = Stages()
    with stages("outer"):
        now[0] += 1
        with stages("inner"):
            now[0] += 10
            with stages("outer"):
                now[0] += 100
    assert stages.seconds == {"outer": 101.0, "inner": 10.0}


def test_a_stage_that_fails_is_counted_and_closed(now):
    stages = Stages()
    with stages("a"):
        with pytest.raises(KeyError), stages("b"):
            now[0] += 1
            raise KeyError
        now[0] += 5
    assert stages.seconds == {"a": 5.0, "b": 1.0}


def test_no_clock_is_called_alike():
    stages = Stages()
    assert clock(stages) is stages
    silent = clock(None)
    with silent("a"), silent("b"):
        pass

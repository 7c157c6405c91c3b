"""The timers that every speed rests on."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from hrnet_fast.timing import interleave, percentile


@pytest.mark.parametrize(("q", "value"), [(0, 1), (50, 2.5), (90, 3.7), (100, 4)])
def test_percentile_interpolates(q, value):
    assert percentile([4, 1, 3, 2], q) == pytest.approx(value)


def test_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_interleave_plays_every_call_in_every_round_in_changing_order():
    played: list[str] = []
    calls = {name: lambda name=name: played.append(name) for name in "abc"}
    timings = interleave(calls, budget_s=0, min_rounds=8, calls_per_turn=2)
    assert {name: len(timing.samples) for name, timing in timings.items()} == {"a": 16, "b": 16, "c": 16}
    turns = ["".join(played[start : start + 3]) for start in range(0, len(played), 3)]
    assert all(turn in ("aaa", "bbb", "ccc") for turn in turns), "one untimed and two timed calls a turn"
    rounds = ["".join(turn[0] for turn in turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert all(sorted(order) == list("abc") for order in rounds) and len(set(rounds)) > 1


def test_interleave_times_a_slow_call_once_a_turn():
    calls = {"slow": lambda: time.sleep(0.02), "fast": lambda: None}
    timings = interleave(calls, budget_s=0, min_rounds=2, calls_per_turn=3, turn_s=0.01)
    assert (len(timings["slow"].samples), len(timings["fast"].samples)) == (2, 6)
    assert timings["slow"].microseconds(50) >= 20_000


def test_interleave_plays_what_outlasts_a_turn_untimed_in_the_first_round_alone(monkeypatch):
    played: list[float] = []  # seconds of each call, of a clock that these calls alone move
    monkeypatch.setattr("hrnet_fast.timing.time", SimpleNamespace(perf_counter=lambda: sum(played)))
    calls = {"slow": lambda: played.append(2.0), "fast": lambda: played.append(0.5)}
    timings = interleave(calls, budget_s=0, min_rounds=3, calls_per_turn=1, turn_s=1.0)
    assert (played.count(2.0), played.count(0.5)) == (1 + 3, 3 + 3)
    assert {len(timing.samples) for timing in timings.values()} == {3}


def test_interleave_warms_with_what_it_is_given():
    played: list[str] = []
    calls = {name: lambda name=name: played.append(name) for name in "ab"}
    warm = {name: lambda name=name: played.append(name.upper()) for name in "ab"}
    interleave(calls, budget_s=0, min_rounds=1, calls_per_turn=2, warm=warm)
    assert "".join(played) in ("AaaBbb", "BbbAaa")


def test_interleave_reports_progress_up_to_the_end():
    seen: list[float] = []
    for rounds in (3, 0):
        seen.clear()
        interleave({"a": lambda: None}, budget_s=0.01, min_rounds=rounds, progress=seen.append)
        assert seen == sorted(seen) and seen[-1] == 1.0


def test_interleave_of_nothing_ends():
    assert interleave({}, budget_s=1) == {}

"""hrnet_fast.testing: the rule, the report and the timers that every number rests on."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from hrnet_fast import testing


def test_relative_l2_is_taken_over_all_outputs_together():
    want = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    got = {"a": torch.tensor([3.0, 0.5]), "b": np.array([[4.0]])}
    assert testing.relative_l2(got, want) == pytest.approx(0.5 / 5)


def test_report_names_the_worst_element():
    want = [torch.zeros(2, 2), torch.arange(24.0).reshape(2, 3, 4)]
    got = [want[0], want[1].clone()]
    got[1][1, 2, 0] += 7
    report = testing.compare_outputs(got, want)
    assert (report.worst_output, report.worst_index, report.got, report.want) == (1, (1, 2, 0), 27.0, 20.0)
    assert "output 1, [1, 2, 0] of [2, 3, 4]: got 27, want 20" in str(report)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_infinitely_wrong(bad):
    got = torch.tensor([1.0, bad])
    report = testing.compare_outputs(got, torch.ones(2))
    assert math.isinf(report.error) and report.worst_index == (1,)
    assert not testing.within_tolerance(report.error, 1e9)
    with pytest.raises(AssertionError, match=r"worst element is \[1\]"):
        testing.assert_close(got, torch.ones(2), error_torch=1.0)


def test_equal_outputs_have_no_error_even_if_all_are_zero():
    assert testing.relative_l2(torch.zeros(3), torch.zeros(3)) == 0
    assert math.isinf(testing.relative_l2(torch.ones(3), torch.zeros(3)))


@pytest.mark.parametrize(
    ("got", "want", "message"),
    [
        pytest.param(torch.ones(2, 3), torch.ones(3, 2), "shapes", id="transposed"),
        pytest.param(torch.ones(1, 3), torch.ones(3), "shapes", id="would-broadcast"),
        pytest.param([torch.ones(3)], [torch.ones(3), torch.ones(3)], "shapes", id="one-missing"),
        pytest.param(torch.ones(0, 3), torch.ones(0, 3), "nothing to compare", id="empty"),
        pytest.param([], [], "nothing to compare", id="no-output"),
    ],
)
def test_incomparable_outputs_are_refused(got, want, message):
    with pytest.raises(ValueError, match=message):
        testing.compare_outputs(got, want)


@pytest.mark.parametrize("thing", [None, 3.0, "heatmaps", [torch.ones(1), None]])
def test_what_is_no_output_is_refused(thing):
    with pytest.raises(TypeError, match="must be tensors"):
        testing.flatten_outputs(thing)


@pytest.mark.parametrize(
    ("error", "error_torch", "passes"), [(2e-7, 1e-7, True), (2.1e-7, 1e-7, False), (0, 0, True), (math.nan, 1, False)]
)
def test_tolerance_is_twice_torchs_own_error(error, error_torch, passes):
    assert testing.within_tolerance(error, error_torch) is passes


@pytest.mark.parametrize(("q", "value"), [(0, 1), (50, 2.5), (90, 3.7), (100, 4)])
def test_percentile_interpolates(q, value):
    assert testing.percentile([4, 1, 3, 2], q) == pytest.approx(value)


def test_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        testing.percentile([], 50)


def test_interleave_plays_every_call_in_every_round_in_changing_order():
    played: list[str] = []
    calls = {name: lambda name=name: played.append(name) for name in "abc"}
    timings = testing.interleave(calls, budget_s=0, min_rounds=8, calls_per_turn=2)
    assert {name: len(timing.samples) for name, timing in timings.items()} == {"a": 16, "b": 16, "c": 16}
    turns = ["".join(played[start : start + 3]) for start in range(0, len(played), 3)]
    assert all(turn in ("aaa", "bbb", "ccc") for turn in turns), "one untimed and two timed calls a turn"
    rounds = ["".join(turn[0] for turn in turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert all(sorted(order) == list("abc") for order in rounds) and len(set(rounds)) > 1


def test_interleave_times_a_slow_call_once_a_turn():
    calls = {"slow": lambda: time.sleep(0.02), "fast": lambda: None}
    timings = testing.interleave(calls, budget_s=0, min_rounds=2, calls_per_turn=3, turn_s=0.01)
    assert (len(timings["slow"].samples), len(timings["fast"].samples)) == (2, 6)
    assert timings["slow"].microseconds(50) >= 20_000


def test_interleave_reports_progress_up_to_the_end():
    seen: list[float] = []
    testing.interleave({"a": lambda: None}, budget_s=0.01, min_rounds=3, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_interleave_of_nothing_ends():
    assert testing.interleave({}, budget_s=1) == {}


def test_peak_memory_counts_what_a_runner_holds_but_not_what_its_build_dropped():
    mib = 2**20
    memory = testing.PeakMemory(torch.device("cpu"))
    held = torch.ones(32 * mib, dtype=torch.uint8)
    dropped = torch.ones(96 * mib, dtype=torch.uint8)
    del dropped
    memory.building_done()
    used = torch.ones(16 * mib, dtype=torch.uint8)
    peak = memory.bytes()
    if peak is None:
        pytest.skip("this system does not tell a process's peak memory")
    assert held.numel() + used.numel() <= 1.02 * peak and peak < 80 * mib


def test_shape_cases_hold_hrnets_own_widths():
    assert {18, 30, 32, 36, 44, 72} <= {case.channels for case in testing.SHAPE_CASES}
    assert len({str(case) for case in testing.SHAPE_CASES}) == len(testing.SHAPE_CASES)

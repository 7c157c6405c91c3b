"""The rule and the report that every number rests on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hrnet_fast import numerics


def test_relative_l2_is_taken_over_all_outputs_together():
    want = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    got = {"a": torch.tensor([3.0, 0.5]), "b": np.array([[4.0]])}
    assert numerics.relative_l2(got, want) == pytest.approx(0.5 / 5)


def test_report_names_the_worst_element():
    want = [torch.zeros(2, 2), torch.arange(24.0).reshape(2, 3, 4)]
    got = [want[0], want[1].clone()]
    got[1][1, 2, 0] += 7
    report = numerics.compare_outputs(got, want)
    assert (report.worst_output, report.worst_index, report.got, report.want) == (1, (1, 2, 0), 27.0, 20.0)
    assert "output 1, [1, 2, 0] of [2, 3, 4]: got 27, want 20" in str(report)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_infinitely_wrong(bad):
    got = torch.tensor([1.0, bad])
    report = numerics.compare_outputs(got, torch.ones(2))
    assert math.isinf(report.error) and math.isinf(report.max_abs) and report.worst_index == (1,)
    assert math.isnan(numerics.relative_l2(torch.ones(2), got))
    assert not numerics.within_tolerance(report.error, 1e9)
    assert "worst element is [1]" in str(report)


def test_equal_outputs_have_no_error_even_if_all_are_zero():
    assert numerics.relative_l2(torch.zeros(3), torch.zeros(3)) == 0
    assert math.isinf(numerics.relative_l2(torch.ones(3), torch.zeros(3)))


@pytest.mark.parametrize(
    ("ours", "theirs", "place"),
    [("cuda:1", "cuda:1", "cuda:1"), ("cuda:0", "cuda:1", "cpu"), ("cuda:0", "cpu", "cpu"), ("mps", "mps", "cpu")],
)
def test_outputs_of_one_gpu_are_compared_there(ours, theirs, place):
    assert numerics.meeting_place(torch.device(ours), torch.device(theirs)) == torch.device(place)


def test_outputs_are_compared_where_they_meet(monkeypatch):
    asked = []
    monkeypatch.setattr(numerics, "meeting_place", lambda *devices: asked.append(devices) or torch.device("cpu"))
    assert numerics.relative_l2(torch.ones(2), torch.ones(2)) == 0
    assert asked == [(torch.device("cpu"),) * 2]


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
        numerics.compare_outputs(got, want)


@pytest.mark.parametrize("thing", [None, 3.0, "heatmaps", [torch.ones(1), None]])
def test_what_is_no_output_is_refused(thing):
    with pytest.raises(TypeError, match="must be tensors"):
        numerics.flatten_outputs(thing)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.uint8])
def test_of_labels_the_share_that_differs_counts(kind):
    want = (torch.arange(1000) % 2).to(kind)
    got = want.clone()
    got[:7] = 1 - got[:7].to(torch.int64)
    for wrong, allowed in ((0, 3), (1, 7), (10, 33), (250, 500)):  # 2 k + 3 sqrt(2 k + 1) of k, but at most half
        plain = want.clone()
        plain[:wrong] = 1 - plain[:wrong].to(torch.int64)
        found = numerics.judge(got, want, [want, plain], labels=True)
        assert (found.error, found.own, int(found.allowed * 1000), found.shares) == (0.007, wrong / 1000, allowed, True)
    assert numerics.judge(got[:3], want[:3], [want[:3]], labels=True).allowed == 0.5


def test_of_counts_that_torch_itself_has_wrong_the_norm_counts():
    want = torch.arange(1, 11) * 1000
    found = numerics.judge(want + 3, want, [want + 1], labels=True)
    assert not found.shares and found.error == pytest.approx(3 * found.own) and found.allowed == 2 * found.own


@pytest.mark.parametrize(
    ("error", "error_torch", "passes"), [(2e-7, 1e-7, True), (2.1e-7, 1e-7, False), (0, 0, True), (math.nan, 1, False)]
)
def test_tolerance_is_twice_torchs_own_error(error, error_torch, passes):
    assert numerics.within_tolerance(error, error_torch) is passes

"""NME, failure rate and AUC against plain NumPy and values by hand."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.landmark.metrics import LandmarkScores, areas, failures, nme, normalisers, whole_pixels
from hrnet_fast.tasks.landmark.schemes import SCHEMES
from tests.exact import assert_exact

from .official import compute_nme


def faces(points, count=23, noise=6.0):
    rng = np.random.default_rng(points)
    truth = rng.uniform(20, 200, (count, points, 2))
    return truth + rng.normal(0, noise, truth.shape), truth, rng.uniform(60, 180, count)


@pytest.mark.parametrize("points", SCHEMES)
def test_nme_equals_the_official_loop(points):
    ours, truth, sides = faces(points)
    got = nme(torch.from_numpy(ours), torch.from_numpy(truth), torch.from_numpy(sides))
    assert_exact(got, compute_nme(ours, truth, sides))


def test_auc_is_the_integral_of_the_cumulative_distribution():
    errors = np.random.default_rng(1).gamma(3, 0.02, 400)
    grid = np.linspace(0, 0.08, 200_001)
    cumulative = np.searchsorted(np.sort(errors), grid, side="right") / len(errors)
    want = np.trapezoid(cumulative, grid) / 0.08
    assert areas(torch.from_numpy(errors), 0.08).mean() == pytest.approx(want, abs=1e-5)


def test_auc_and_failures_by_hand():
    errors = torch.tensor([0.0, 0.04, 0.08, 0.16])
    assert areas(errors, 0.08).mean() == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert areas(errors, 0.10).mean() == pytest.approx((1 + 0.6 + 0.2 + 0) / 4)
    assert failures(errors, 0.10).mean() == 0.25
    assert failures(errors, 0.0).mean() == 0.75


@pytest.mark.parametrize("points", SCHEMES)
def test_perfect_points_score_zero(points):
    _, truth, sides = faces(points)
    scores = LandmarkScores()
    scores.add(torch.from_numpy(truth), torch.from_numpy(truth), torch.from_numpy(sides))
    assert scores.result() == {"NME": 0.0, "FR0.08": 0.0, "FR0.1": 0.0, "AUC0.08": 100.0, "AUC0.1": 100.0}


def test_a_known_perturbation_scores_what_the_formula_says():
    """All points 3 right and 4 down with eyes 50 apart: 10 %; one face of two, so 5 % and half failed at 8 %."""
    truth = torch.zeros(2, 98, 2)
    truth[:, 72, 0] = 50
    points = truth.clone()
    points[1] += torch.tensor([3.0, 4.0])
    scores = LandmarkScores()
    scores.add(points, truth, subsets=[("pose",), ("pose", "blur")])
    result = scores.result()
    assert result == pytest.approx({
        "NME": 5.0, "FR0.08": 50.0, "FR0.1": 0.0, "AUC0.08": 50.0, "AUC0.1": 50.0, "NME blur": 10.0, "NME pose": 5.0,
    })  # fmt: skip


def test_a_stream_equals_all_at_once_by_subset():
    ours, truth, _ = faces(68)
    ours, truth = torch.from_numpy(ours), torch.from_numpy(truth)
    subsets = [("common",) if k % 3 else ("challenging", "odd") for k in range(len(truth))]
    scores = LandmarkScores()
    for part in (slice(0, 4), slice(4, 5), slice(5, None)):
        scores.add(ours[part], truth[part], subsets=subsets[part])
    errors = nme(ours, truth).numpy()
    hard = np.arange(len(errors)) % 3 == 0
    want = {
        "NME": errors.mean(), "FR0.08": (errors > 0.08).mean(), "FR0.1": (errors > 0.1).mean(),
        "AUC0.08": np.clip(1 - errors / 0.08, 0, None).mean(), "AUC0.1": np.clip(1 - errors / 0.1, 0, None).mean(),
        "NME challenging": errors[hard].mean(), "NME common": errors[~hard].mean(), "NME odd": errors[hard].mean(),
    }  # fmt: skip
    assert scores.faces == len(errors)
    assert scores.result() == pytest.approx({name: 100 * value for name, value in want.items()}, abs=1e-6)


def test_whole_pixels_cuts_towards_zero_and_adds_one():
    assert whole_pixels(torch.tensor([[3.7, -0.4], [-2.9, 5.0]])).tolist() == [[4.0, 1.0], [-1.0, 6.0]]


def test_nothing_added():
    with pytest.raises(ValueError, match="no face was evaluated"):
        LandmarkScores().result()


@pytest.mark.parametrize(
    ("points", "truth", "sides", "words"),
    [
        (torch.zeros(2, 70, 2), torch.zeros(2, 70, 2), None, "no landmark scheme has 70 points"),
        (torch.zeros(2, 68, 2), torch.zeros(2, 98, 2), None, "cannot be compared"),
        (torch.zeros(2, 68, 2), torch.zeros(2, 68, 2), None, "face 0 cannot be scored: .* divided by 0 pixels"),
        (torch.zeros(2, 19, 2), torch.zeros(2, 19, 2), None, r"box_size\), which is missing"),
        (torch.zeros(2, 19, 2), torch.zeros(2, 19, 2), torch.tensor([5.0, float("nan")]), "face 1 cannot be scored"),
        (torch.full((1, 68, 2), float("nan")), torch.rand(1, 68, 2), None, "face 0 has a point .* among the predicted"),
        (torch.rand(1, 68, 2), torch.full((1, 68, 2), float("inf")), None, "face 0 has a point .* among the annotated"),
    ],
    ids=["70-points", "shapes", "eyes-in-one-place", "no-sides", "nan-side", "nan-points", "infinite-annotation"],
)
def test_bad_input(points, truth, sides, words):
    with pytest.raises(ValueError, match=words):
        LandmarkScores().add(points, truth, sides)


def test_normalisers_by_hand():
    truth = torch.zeros(1, 29, 2)
    truth[0, 9] = torch.tensor([30.0, 40.0])
    assert normalisers(truth).tolist() == [50.0]
    assert normalisers(torch.zeros(2, 19, 2), torch.tensor([7.0, 8.0])).tolist() == [7.0, 8.0]

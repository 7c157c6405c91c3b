"""OKS and its suppressions against lib/nms/nms.py's loops."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.pose.nms import oks, oks_nms, soft_oks_nms
from hrnet_fast.tasks.pose.rescore import rescore
from hrnet_fast.tasks.pose.skeletons import COCO
from tests.exact import assert_exact
from tests.tasks.pose import official


def crowd(people=15, seed=0):
    """Poses of which several are nearly the same: (N, 17, 3), scores, areas."""
    generator = np.random.default_rng(seed)
    centres = generator.integers(0, 4, people) * 60.0
    points = generator.uniform(0, 200, (1, 17, 3)) + generator.normal(0, 4, (people, 17, 3))
    points[..., :2] += centres[:, None, None]
    points[..., 2] = generator.uniform(0, 1, (people, 17))
    return points, generator.uniform(0, 1, people), generator.uniform(2e3, 4e4, people)


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


VISIBLE = {"all": {}, "both": {"visible": 0.6}, "quirk": {"visible": 0.6, "quirk": True}}


def ours(options):
    return {"official_visibility" if name == "quirk" else name: value for name, value in options.items()}


@pytest.mark.parametrize("options", VISIBLE.values(), ids=VISIBLE)
def test_oks_is_the_official_one(options):
    points, _, areas = crowd()
    got = oks(*tensors(points[:4], points, areas[:4], areas), COCO.sigmas, **ours(options))
    want = [official.oks_iou(points[i], points, areas[i], areas, **options) for i in range(4)]
    assert_exact(got, np.array(want))


def test_the_quirk_changes_the_numbers():
    points, _, areas = crowd()
    both, quirk = (oks(*tensors(points, points, areas, areas), COCO.sigmas, 0.6, q) for q in (False, True))
    assert (both - quirk).abs().max() > 0.01
    assert_exact(both, both.T)


def test_oks_without_a_visible_keypoint_is_zero():
    points, _, areas = crowd(2)
    assert (oks(*tensors(points, points, areas, areas), COCO.sigmas, visible=2.0) == 0).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_hard_suppression_keeps_the_official_people(seed, threshold):
    points, scores, areas = crowd(seed=seed)
    keep = oks_nms(*tensors(points, scores, areas), COCO.sigmas, threshold)
    want = official.oks_nms(points, scores, areas, threshold)
    assert keep.tolist() == want
    assert threshold == 0.9 or len(want) < len(points)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("people", [15, 33])
def test_soft_suppression_keeps_the_official_people(seed, people):
    points, scores, areas = crowd(people, seed)
    keep = soft_oks_nms(*tensors(points, scores, areas), COCO.sigmas, 0.9)
    assert keep.tolist() == official.soft_oks_nms(points, scores, areas, 0.9)
    assert len(keep) == min(people, 20)


@pytest.mark.parametrize("suppress", [oks_nms, soft_oks_nms], ids=["hard", "soft"])
def test_of_equal_scores_the_last_comes_first(suppress):
    points, _, areas = crowd(8)
    scores = np.array([0.5, 0.7, 0.5, 0.7, 0.5, 0.2, 0.7, 0.5])
    want = {oks_nms: official.oks_nms, soft_oks_nms: official.soft_oks_nms}[suppress](points, scores, areas, 0.9)
    assert suppress(*tensors(points, scores, areas), COCO.sigmas, 0.9).tolist() == want


@pytest.mark.parametrize("suppress", [oks_nms, soft_oks_nms], ids=["hard", "soft"])
def test_nobody_stays_nobody(suppress):
    assert suppress(torch.zeros(0, 17, 3), torch.zeros(0), torch.zeros(0), COCO.sigmas).tolist() == []


def test_rescoring_is_the_official_one():
    scores, boxes = np.random.uniform(-0.2, 1, (20, 17)), np.random.uniform(0, 1, 20)
    scores[3], scores[4], scores[5] = 0.1, 0.2, -1.0
    got = rescore(*tensors(scores, boxes))
    assert_exact(got, np.array([official.rescore(s, b) for s, b in zip(scores, boxes)]))
    assert got[3:6].tolist() == [0, 0, 0]

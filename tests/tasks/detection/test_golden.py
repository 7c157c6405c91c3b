"""From random numbers to regions, their features and boxes, as mmdetection itself does it.

faster_rcnn.json says with which files of mmdetection; it holds their answers, and the seeds of what they were asked.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.detection import regions as ours
from hrnet_fast.tasks.detection.boxes import STRIDES
from hrnet_fast.tasks.detection.estimator import IOU_THRESHOLD, THRESHOLD

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "faster_rcnn.json").read_text())
CASES = pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: "{}x{}".format(*case["picture"]))
REGIONS, CLASSES = 40, 5  # the likeliest proposals, which the box head is asked about
DIGITS = 1e-5  # of the larger side, of 1 where nothing is in pixels: the answers, in float32 too, are kept to 7 digits


def normal(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def drawn(case):
    """In this order: the RPN's logits of each level, its deltas of each, some of them beyond what a box may grow or
    shrink, the box head's logits (R, classes + 1) and its deltas (R, 4 classes)."""
    rng = np.random.default_rng(case["seed"])
    sizes = [[side // stride for side in case["input"]] for stride in STRIDES]
    logits = [2 * normal(rng, 3, *size) for size in sizes]
    deltas = [0.3 * n * n * n for n in (normal(rng, 12, *size) for size in sizes)]
    return logits, deltas, 2 * normal(rng, REGIONS, CLASSES + 1), 2 * normal(rng, REGIONS, 4 * CLASSES)


def agree(got, want, scale):
    """Rows in one order: the seeds are of numbers without ties and without overlaps near the thresholds."""
    assert len(got) == len(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=DIGITS * scale)


@CASES
def test_proposals(case, monkeypatch):
    monkeypatch.setattr(ours, "RPN_BEFORE", case["before"])
    monkeypatch.setattr(ours, "RPN_AFTER", case["after"])
    logits, deltas, *_ = drawn(case)
    agree(ours.propose(logits, deltas, case["picture"]), case["proposals"], max(case["picture"]))


def test_features_of_regions():
    """Sides of 112, 224 and 448, where the levels meet, and just below; borders; under a pixel; 50 times as long."""
    golden = GOLDEN["regions"]
    rng = np.random.default_rng(golden["seed"])
    maps = [normal(rng, 1, 2, *[side // stride for side in golden["input"]]) for stride in STRIDES[: ours.ROI_LEVELS]]
    features = ours.cut_out(maps, torch.tensor(golden["regions"]))
    agree(features.flatten(2), golden["features"], 1)


@CASES
def test_boxes(case):
    *_, logits, deltas = drawn(case)
    (height, width), original = case["picture"], case["original"]
    found = ours.classify(
        logits,
        deltas,
        torch.tensor(case["proposals"][:REGIONS], dtype=torch.float32),
        (height, width),
        (width / original[1], height / original[0]),
        threshold=THRESHOLD,
        iou_threshold=IOU_THRESHOLD,
        most=case["most"],
    )
    want = np.array(case["found"])
    agree(found.corners, want[:, :4], max(original))
    agree(found.scores, want[:, 4], 1)
    assert found.classes.tolist() == want[:, 5].tolist()

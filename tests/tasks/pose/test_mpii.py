"""MPII: the reader against the official centre and scale, PCKh against the official arithmetic."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from hrnet_fast.tasks.pose import Mpii
from hrnet_fast.tasks.pose.boxes import regions_of
from hrnet_fast.tasks.pose.pckh import pckh
from tests.exact import assert_exact
from tests.tasks.pose import official
from tests.tasks.pose.files import MPII_NAMES, mpii_data, write_mpii


@pytest.fixture
def root(tmp_path):
    return write_mpii(tmp_path / "mpii")


def score(dataset, points, limit=None):
    """points: (16, 2, N), pixels from 1, as the truth."""
    scorer = dataset.scorer()
    for sample in list(dataset)[:limit]:
        found = torch.ones(1, 16, 3)
        found[0, :, :2] = torch.from_numpy(points[:, :, sample.image_id] - 1)
        scorer.add(sample, found, regions_of(sample.boxes, 1.0))
    return scorer.result()


def test_regions_are_the_official_center_and_scale(root):
    entries = mpii_data()[0]
    dataset = Mpii(root)
    assert len(dataset) == len(entries)
    for entry, sample in zip(entries, dataset):
        center, scale = np.array(entry["center"]), entry["scale"]
        center[1] += 15 * scale
        regions = regions_of(sample.boxes, 1.0)
        assert_exact(regions.centers[0], center - 1)
        assert_exact(regions.sizes[0], np.full(2, scale * 1.25 * 200))
        assert sample.image.exists()


def test_people_without_a_place_are_neither_moved_nor_widened(tmp_path):
    """_get_db of lib/dataset/mpii.py: `if c[0] != -1`."""
    data = mpii_data()
    data[0][0]["center"] = [-1.0, 55.5]
    regions = regions_of(next(iter(Mpii(write_mpii(tmp_path / "mpii", data)))).boxes, 1.0)
    assert_exact(regions.centers[0], np.array([-2, 54.5]))
    assert_exact(regions.sizes[0], np.full(2, data[0][0]["scale"] * 200))


def test_perfect_predictions_score_a_hundred(root):
    metrics = score(Mpii(root), mpii_data()[1])
    assert list(metrics) == ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean", "Mean@0.1"]
    assert all(value == pytest.approx(100.0) for value in metrics.values())


@pytest.mark.parametrize("seed", range(3))
def test_pckh_is_the_official_one(seed):
    _, truth, missing, heads = mpii_data(40, seed)
    points = truth + np.random.default_rng(seed).normal(0, 5, truth.shape)
    got = pckh(
        *(torch.from_numpy(x.transpose(2, 0, 1)) for x in (points, truth)),
        torch.from_numpy(missing.T).bool(),
        torch.from_numpy(heads.transpose(2, 0, 1)),
        MPII_NAMES,
    )
    want = official.pckh(points, truth, missing.astype(int), heads, MPII_NAMES)
    assert got == pytest.approx(want, rel=1e-12)
    assert 5 < got["Mean@0.1"] < got["Mean"] < 95


def test_a_joint_just_at_half_a_head_is_right():
    """A head box of 3 x 4 counts 0.6 * 5 = 3 pixels."""
    truth, heads = torch.zeros(1, 16, 2), torch.tensor([[[0.0, 0], [3, 4]]])
    found = pckh(truth + torch.tensor([1.5, 0]), truth, torch.zeros(1, 16).bool(), heads, MPII_NAMES)
    assert found["Mean"] == pytest.approx(100) and found["Mean@0.1"] == 0


def test_a_known_shift_scores_what_the_formula_says(tmp_path):
    """Head boxes of 30 x 40 count 0.6 * 50 = 30 pixels, so half of it is 15 and 0.11 of it is 3.3 pixels."""
    entries, truth, missing, heads = mpii_data(4)
    missing[:] = 0
    heads[1] = heads[0] + np.array([[30.0], [40.0]])
    points = truth.copy()
    points[[10, 15], 0] += 15.1  # both wrists: wrong
    points[0, 1, :2] -= 14.9  # the right ankle of two of four: right
    points[5, 0, :1] += 16  # the left ankle of one of four: wrong
    points[6:8] += 500  # pelvis and thorax do not count
    metrics = score(Mpii(write_mpii(tmp_path / "mpii", (entries, truth, missing, heads))), points)
    assert metrics == pytest.approx({
        "Head": 100, "Shoulder": 100, "Elbow": 100, "Wrist": 0, "Hip": 100, "Knee": 100,
        "Ankle": (100 + 75) / 2,
        "Mean": 100 * (14 * 4 - 8 - 1) / (14 * 4),
        "Mean@0.1": 100 * (14 * 4 - 8 - 1 - 2) / (14 * 4),
    })  # fmt: skip


def test_the_first_people_alone_can_be_scored(root):
    _, truth, _, _ = mpii_data()
    points = truth.copy()
    points[:, :, 3:] += 300
    assert score(Mpii(root), points, limit=3)["Mean"] == pytest.approx(100)
    assert score(Mpii(root), points)["Mean"] < 70


def test_a_joint_that_is_missing_everywhere_counts_nowhere(tmp_path):
    entries, truth, missing, heads = mpii_data(4)
    missing[:] = 0
    missing[[10, 9]] = 1
    metrics = score(Mpii(write_mpii(tmp_path / "mpii", (entries, truth, missing, heads))), truth)
    assert "Wrist" not in metrics and "Head" not in metrics and metrics["Mean"] == pytest.approx(100)


def test_nothing_annotated_gets_one_sentence(tmp_path):
    entries, truth, missing, heads = mpii_data(2)
    missing[:] = 1
    dataset = Mpii(write_mpii(tmp_path / "mpii", (entries, truth, missing, heads)))
    with pytest.raises(ValueError, match="no joint is annotated in these pictures: there is nothing to evaluate"):
        score(dataset, truth)


@pytest.mark.parametrize("name", ["image", "center", "scale"])
def test_a_missing_field_gets_one_sentence(tmp_path, name):
    data = mpii_data()
    del data[0][2][name]
    with pytest.raises(ValueError, match=rf"valid.json: person 2 has no '{name}'"):
        Mpii(write_mpii(tmp_path / "mpii", data))


def test_other_bad_files_get_one_sentence(root):
    entries = mpii_data()[0]
    path = root / "annot" / "valid.json"
    for text, sentence in {
        "[]": "valid.json lists no people: there is nothing to evaluate",
        json.dumps([entries[0] | {"scale": 0}]): r"valid.json: person 0 has the scale 0; a number above 0 is needed",
        json.dumps([entries[0] | {"center": [1]}]): r"valid.json: person 0 has the center \[1\]; x and y are needed",
        json.dumps([entries[0] | {"center": [1, math.nan]}]): r"person 0 has the center \[1, nan\]; x and y are needed",
        json.dumps([entries[0] | {"image": 7}]): r"valid.json: person 0 has the image 7; text is needed",
        json.dumps([entries[0] | {"scale": 10**400}]): "valid.json is no JSON.*: a whole number of 401 digits",
        "[" * 100_000: "valid.json is no JSON, or is cut off: maximum recursion depth",
    }.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=sentence):
            Mpii(root)
    path.write_text(json.dumps(entries[:4]))
    with pytest.raises(ValueError, match=r"gt_valid.mat has 6 people, and 4 are annotated beside it"):
        score(Mpii(root), mpii_data()[1])


@pytest.mark.parametrize("name", ["jnt_missing", "pos_gt_src", "headboxes_src", "dataset_joints"])
def test_a_truth_of_other_shapes_gets_one_sentence(root, name):
    path = root / "annot" / "gt_valid.mat"
    contents = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
    savemat(path, contents | {name: contents[name].ravel()[:7]})
    with pytest.raises(
        ValueError, match=rf"gt_valid.mat is not a file of MPII's annotations, or it is damaged: {name}"
    ):
        score(Mpii(root), mpii_data()[1])


def test_missing_files_say_what_to_download(root, tmp_path):
    (root / "annot" / "gt_valid.mat").write_bytes(b"no matrix")
    with pytest.raises(ValueError, match=r"gt_valid.mat is not a file of MPII's annotations"):
        score(Mpii(root), mpii_data()[1])
    (root / "annot" / "gt_valid.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"gt_valid.mat is missing: download the images from http://human-pose"):
        Mpii(root)
    with pytest.raises(FileNotFoundError, match=r"valid.json is missing: download"):
        Mpii(tmp_path / "nowhere")

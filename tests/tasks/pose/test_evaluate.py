"""evaluate on small data sets: a network that knows the answer scores 1.000, random ones score something; notes."""

import json

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.tasks.pose import CROWDPOSE, DATASETS, CocoKeypoints, Mpii, PoseEstimator, evaluate
from hrnet_fast.tasks.pose.paper import paper_row
from hrnet_fast.tasks.stages import Stages
from tests.tasks.pose.files import coco_data, write_coco, write_crowdpose, write_mpii
from tests.tasks.turned import turn

NAME = "hrnet_w18_small.pose_coco_256x192"
PRINTED = "hrnet_w32.pose_coco_256x192"


@pytest.fixture(scope="module")
def estimator():
    return PoseEstimator(NAME)


class Oracle(PoseEstimator):
    """Knows the annotations, and puts each person's keypoints on the heatmaps of its region."""

    def keypoints(self, requests, *, stages=None):
        answers = [[1, 2], [6], []]
        entries = {entry["id"]: entry for entry in coco_data()["annotations"]}
        for (_, regions), ids in zip(requests, answers):
            points = torch.tensor([entries[i]["keypoints"] for i in ids]).reshape(-1, 17, 3)
            assert len(regions) == len(points)
            points[..., 2] = 1
            yield points


def test_a_network_that_knows_scores_one(tmp_path):
    done = []
    evaluation = evaluate(Oracle(NAME), CocoKeypoints(write_coco(tmp_path / "coco")), progress=done.append)
    assert evaluation.metrics["AP"] == pytest.approx(100) and evaluation.metrics["AR"] == pytest.approx(100)
    assert evaluation.images == sum(done) == 3


def test_coco_is_evaluated(tmp_path, estimator):
    stages = Stages()
    path = tmp_path / "results.json"
    evaluation = evaluate(estimator, CocoKeypoints(write_coco(tmp_path / "coco")), stages=stages, results=path)
    assert (evaluation.task, evaluation.dataset, evaluation.model) == ("pose", "COCO val2017", NAME)
    assert 0 <= evaluation.metrics["AP"] < 50
    assert list(evaluation.seconds) == ["read", "crop", "network", "decode", "score"]
    assert evaluation.notes[0] == "the weights are random, as none were given, so the scores mean nothing"
    assert {row["image_id"] for row in json.loads(path.read_text())} == {7, 9}
    assert "AP50" in str(evaluation) and json.dumps(evaluation.to_json())


def test_pictures_are_taken_as_they_are_stored(tmp_path, estimator):
    """As lib/dataset/JointsDataset.py reads them, with cv2.IMREAD_IGNORE_ORIENTATION."""
    root, path = write_coco(tmp_path / "coco"), tmp_path / "results.json"
    people = []
    for _ in range(2):
        evaluate(estimator, CocoKeypoints(root), results=path)
        people.append(json.loads(path.read_text()))
        turn(root / "val2017" / "000000000007.png")
    assert people[0] == people[1]


def test_mpii_is_evaluated(tmp_path):
    estimator = PoseEstimator("hrnet_w18_small.pose_mpii_256x256")
    dataset = DATASETS["mpii"](write_mpii(tmp_path / "mpii"))
    evaluation = evaluate(estimator, dataset, limit=3)
    assert 0 <= evaluation.metrics["Mean"] <= 100 and evaluation.images == 3
    assert evaluation.notes[1] == "only the first 3 of 6 people"
    with pytest.raises(ValueError, match="results are a file for COCO's server; MPII has none"):
        evaluate(estimator, dataset, results=tmp_path / "results.json")


def test_crowdpose_is_evaluated(tmp_path):
    estimator = PoseEstimator("hrnet_w18_small.pose_crowdpose_256x192")
    assert estimator.skeleton is CROWDPOSE
    dataset, path = DATASETS["crowdpose"](write_crowdpose(tmp_path / "crowdpose")), tmp_path / "results.json"
    evaluation = evaluate(estimator, dataset, results=path)
    assert evaluation.dataset == "CrowdPose test" and "AP medium" in str(evaluation)
    assert all(0 <= value < 50 for value in evaluation.metrics.values()) and len(evaluation.metrics) == 9
    assert [len(row["keypoints"]) for row in json.loads(path.read_text())] == [42] * 3


def test_results_that_cannot_be_written_are_known_before_the_first_picture(tmp_path, estimator, monkeypatch):
    dataset, path = CocoKeypoints(write_coco(tmp_path / "coco")), tmp_path / "results.json"
    for target in (tmp_path, tmp_path / "coco" / "annotations" / "person_keypoints_val2017.json" / "results.json"):
        with pytest.raises(OSError):
            evaluate(estimator, dataset, results=target, progress=pytest.fail)
    path.write_text("old")

    def full(path, rows):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("hrnet_fast.tasks.scored.write_results", full)
    evaluation = evaluate(Oracle(NAME), dataset, results=path)
    assert evaluation.metrics["AP"] == pytest.approx(100) and path.read_text() == "old"
    assert evaluation.notes[-1].startswith("the results were not written: ") and str(path) in evaluation.notes[-1]
    assert not evaluation.written
    dataset.annotations["annotations"] = []  # without scores nothing is left to keep
    with pytest.raises(OSError, match="No space left"):
        evaluate(Oracle(NAME), dataset, results=path)


def test_pictures_of_nobody_have_no_scores(tmp_path, estimator):
    data = coco_data()
    data["annotations"] = []
    evaluation = evaluate(estimator, CocoKeypoints(write_coco(tmp_path / "coco", data)), limit=1)
    assert evaluation.metrics == {}
    assert evaluation.notes[-1] == "nobody is annotated in these pictures, so there are no scores"


def test_a_limit_knows_of_no_other_pictures(tmp_path):
    evaluation = evaluate(Oracle(NAME), CocoKeypoints(write_coco(tmp_path / "coco")), limit=1)
    assert evaluation.images == 1 and evaluation.metrics["AP"] == pytest.approx(100)
    assert "only the first 1 of 3 pictures" in evaluation.notes


def test_nothing_to_evaluate_gets_one_sentence(tmp_path, estimator):
    with pytest.raises(ValueError, match="COCO val2017 is empty: there is nothing to evaluate"):
        evaluate(estimator, CocoKeypoints(write_coco(tmp_path / "coco")), limit=0)


def test_other_keypoints_get_one_sentence(tmp_path, estimator):
    with pytest.raises(ValueError, match=f"MPII has 16 keypoints and {NAME} 17: they cannot be compared"):
        evaluate(estimator, Mpii(write_mpii(tmp_path / "mpii")))


def test_a_missing_picture_is_named(tmp_path, estimator):
    root = write_coco(tmp_path / "coco")
    (root / "val2017" / "000000000009.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000009.png"):
        evaluate(estimator, CocoKeypoints(root))


def test_an_unknown_suppression_gets_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="nms 'fast' is not known; choose hard, soft or None"):
        CocoKeypoints(write_coco(tmp_path / "coco"), nms="fast")
    for threshold in (float("nan"), 0, -1.0):
        with pytest.raises(ValueError, match=f"oks_threshold is {threshold}; a finite number above 0 is needed"):
            CocoKeypoints(tmp_path / "coco", oks_threshold=threshold)


def test_another_network_of_that_name_has_no_papers_row(tmp_path):
    model = create_model(PRINTED, input_size=(256, 256))
    assert evaluate(Oracle(model), CocoKeypoints(write_coco(tmp_path / "coco"))).paper is None


def test_what_the_papers_row_was_not_measured_with_is_said(tmp_path):
    dataset = CocoKeypoints(write_coco(tmp_path / "coco"), nms="soft", oks_threshold=0.5)
    evaluation = evaluate(Oracle(PRINTED, flip_test=False, shift=False, decode="dark"), dataset)
    assert evaluation.paper["AP"] == 74.4
    assert [note.partition("; in the paper's row it is ")[::2] for note in evaluation.notes[1:6]] == [
        ("flip_test is False", "True"), ("shift is False", "True"), ("decode is dark", "quarter"),
        ("nms is soft", "hard"), ("oks_threshold is 0.5", "0.9"),
    ]  # fmt: skip
    as_printed = evaluate(Oracle(PRINTED), CocoKeypoints(tmp_path / "coco"))
    assert as_printed.paper and not any("in the paper's row" in note for note in as_printed.notes)


def test_mpii_has_no_suppression_to_differ_in(tmp_path):
    estimator = PoseEstimator("hrnet_w32.pose_mpii_256x256", decode="dark")
    evaluation = evaluate(estimator, Mpii(write_mpii(tmp_path / "mpii")), limit=1)
    assert evaluation.paper["Mean"] == 90.3
    assert evaluation.notes[-1] == "decode is dark; in the paper's row it is quarter"


def test_the_papers_rows_are_found():
    assert paper_row("hrnet_w32.pose_coco_256x192", "COCO", "val2017")["AP"] == 74.4
    assert paper_row("hrnet_w32.pose_mpii_256x256", "MPII", "valid")["Mean"] == 90.3
    crowd = {"AP": 67.5, "AP50": 82.5, "AP75": 72.9, "AP easy": 77.0, "AP medium": 68.7, "AP hard": 55.3}
    assert paper_row("hrnet_w32.pose_crowdpose_256x192", "CrowdPose", "test") == crowd
    assert paper_row("hrnet_w32.pose_crowdpose_256x192", "CrowdPose", "val") is None
    assert paper_row("hrnet_w32.pose_coco_256x192", "COCO", "train2017") is None
    assert paper_row("another", "MPII", "valid") is None

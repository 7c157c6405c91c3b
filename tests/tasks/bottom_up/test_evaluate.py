"""evaluate on COCO and CrowdPose: an estimator that knows the answer scores 100, random ones score something; notes."""

import json

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.tasks.bottom_up import DATASETS, BottomUpPoseEstimator, CocoPictures, CrowdPosePictures, evaluate
from hrnet_fast.tasks.bottom_up.paper import paper_row
from hrnet_fast.tasks.stages import Stages
from tests.tasks.bottom_up.planted import NAME
from tests.tasks.pose.files import coco_data, crowdpose_data, write_coco, write_crowdpose
from tests.tasks.turned import turn


@pytest.fixture(scope="module")
def estimator():
    return BottomUpPoseEstimator(NAME, short_side=64)


@pytest.fixture
def root(tmp_path):
    """As `write_coco`, with the picture of nobody too, since all are looked at."""
    root = write_coco(tmp_path / "coco")
    (root / "val2017" / "000000000011.png").write_bytes((root / "val2017" / "000000000009.png").read_bytes())
    return root


class Oracle(BottomUpPoseEstimator):
    """Knows the annotations; gives somebody who is not there too, with a lower score."""

    def keypoints(self, picture, *, stages=None):
        self.seen = getattr(self, "seen", -1) + 1
        ids = [[1, 2], [6], []][self.seen]
        entries = {entry["id"]: entry for entry in coco_data()["annotations"]}
        points = torch.tensor([entries[i]["keypoints"] for i in ids] + [[7.0] * 51]).reshape(-1, 17, 3)
        return points, torch.tensor([0.9] * len(ids) + [0.1])


def test_an_estimator_that_knows_scores_a_hundred(root):
    done = []
    evaluation = evaluate(Oracle(NAME, short_side=64), CocoPictures(root), progress=done.append)
    assert evaluation.metrics["AP"] == pytest.approx(100) and evaluation.metrics["AR"] == pytest.approx(100)
    assert evaluation.images == sum(done) == 3


def test_a_limit_knows_of_no_other_pictures(root):
    evaluation = evaluate(Oracle(NAME, short_side=64), CocoPictures(root), limit=1)
    assert evaluation.images == 1 and evaluation.metrics["AP"] == pytest.approx(100)
    assert "only the first 1 of 3 pictures" in evaluation.notes


def test_people_are_neither_rescored_nor_suppressed(root, tmp_path):
    evaluate(Oracle(NAME, short_side=64), CocoPictures(root), results=tmp_path / "r.json")
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [row["image_id"] for row in rows] == [7, 7, 7, 9, 9, 11]
    assert [row["score"] for row in rows] == pytest.approx([0.9, 0.9, 0.1, 0.9, 0.1, 0.1])
    assert {frozenset(row) for row in rows} == {frozenset({"image_id", "category_id", "keypoints", "score"})}
    assert rows[2]["keypoints"] == [7.0] * 51


def test_coco_is_evaluated(root, estimator):
    stages = Stages()
    evaluation = evaluate(estimator, DATASETS["coco"](root), stages=stages)
    assert (evaluation.task, evaluation.dataset, evaluation.model) == ("bottom_up", "COCO val2017", NAME)
    assert 0 <= evaluation.metrics["AP"] < 50 and evaluation.paper is None
    assert list(evaluation.seconds) == ["read", "resize", "network", "maps", "group", "score"]
    assert evaluation.notes == ("the weights are random, as none were given, so the scores mean nothing",)
    assert "AP50" in str(evaluation) and json.dumps(evaluation.to_json())


class CrowdOracle(BottomUpPoseEstimator):
    """Knows the annotations of CrowdPose's pictures, also of people who are not scored."""

    def keypoints(self, picture, *, stages=None):
        self.seen = getattr(self, "seen", 99999) + 1
        people = [a["keypoints"] for a in crowdpose_data()["annotations"] if a["image_id"] == self.seen]
        return torch.tensor(people, dtype=torch.float32).reshape(-1, 14, 3), torch.full((len(people),), 0.9)


def test_crowdpose_is_evaluated(tmp_path):
    estimator = CrowdOracle("hrnet_w32.pose_higher_crowdpose_512x512", short_side=64)
    evaluation = evaluate(estimator, CrowdPosePictures(write_crowdpose(tmp_path / "crowdpose")))
    assert evaluation.metrics == pytest.approx(dict.fromkeys(evaluation.metrics, 100)) and len(evaluation.metrics) == 9
    assert evaluation.dataset == "CrowdPose test" and evaluation.paper["AP"] == 65.5
    assert "short_side is 64; in the paper's row it is 512" in evaluation.notes


def test_pictures_are_taken_as_they_are_stored(root, tmp_path, estimator):
    """As lib/dataset/COCODataset.py reads them, with cv2.IMREAD_IGNORE_ORIENTATION."""
    people = []
    for _ in range(2):
        evaluate(estimator, CocoPictures(root), limit=1, results=tmp_path / "r.json")
        people.append(json.loads((tmp_path / "r.json").read_text()))
        turn(root / "val2017" / "000000000007.png")
    assert people[0] == people[1] and people[0]


def test_what_the_papers_row_was_not_measured_with_is_said(root):
    estimator = BottomUpPoseEstimator("hrnet_w32.pose_higher_coco_512x512", short_side=64, flip_test=False)
    evaluation = evaluate(estimator, CocoPictures(root), limit=1)
    assert evaluation.paper == {"AP": 67.1, "AP50": 86.2, "AP75": 73.0, "APM": 61.5, "APL": 76.1}
    assert "flip_test is False; in the paper's row it is True" in evaluation.notes
    assert "short_side is 64; in the paper's row it is 512" in evaluation.notes
    assert len(evaluation.notes) == 4


def test_another_network_of_that_name_has_no_papers_row(root):
    model = create_model("hrnet_w32.pose_higher_coco_512x512", input_size=(640, 640))
    assert evaluate(Oracle(model), CocoPictures(root)).paper is None


def test_test_pictures_need_no_boxes(tmp_path, estimator):
    data = coco_data()
    del data["annotations"]
    root = write_coco(tmp_path / "coco", data, "test-dev2017", "image_info")
    (root / "test-dev2017").rename(root / "test2017")
    with pytest.raises(ValueError, match="COCO test-dev2017 has no annotations to score with: give `results`, a file"):
        evaluate(estimator, CocoPictures(root, "test-dev2017"), progress=pytest.fail)
    evaluation = evaluate(estimator, CocoPictures(root, "test-dev2017"), limit=2, results=tmp_path / "r.json")
    assert evaluation.metrics == {} and json.loads((tmp_path / "r.json").read_text())
    assert evaluation.notes[-1] == "test-dev2017 has no public annotations: hand the results in to COCO's server"


def test_nothing_to_evaluate_gets_one_sentence(root, estimator):
    with pytest.raises(ValueError, match="COCO val2017 is empty: there is nothing to evaluate"):
        evaluate(estimator, CocoPictures(root), limit=0)


def test_other_keypoints_get_one_sentence(root):
    name = "hrnet_w18_small.pose_higher_crowdpose_512x512"
    with pytest.raises(ValueError, match=f"COCO has 17 keypoints and {name} 14: they cannot be compared"):
        evaluate(BottomUpPoseEstimator(name, short_side=64), CocoPictures(root))


def test_a_missing_picture_is_named(root, estimator):
    (root / "val2017" / "000000000009.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000009\.png"):
        evaluate(estimator, CocoPictures(root))


def test_the_papers_rows_are_found():
    name = "hrnet_w48.pose_higher_coco_640x640"
    assert paper_row(name, "COCO", "val2017")["AP"] == 69.9
    assert paper_row(name, "COCO", "val2017", (0.5, 1, 2))["AP"] == 72.1
    assert paper_row(name, "COCO", "val2017", (1, 2)) is None
    assert paper_row(name, "COCO", "train2017") is None
    assert paper_row("hrnet_w48.pose_higher_coco_512x512", "COCO", "val2017") is None
    name = "hrnet_w48.pose_higher_crowdpose_640x640"
    assert paper_row(name, "CrowdPose", "test")["AP hard"] == 57.9
    assert paper_row(name, "CrowdPose", "test", (0.5, 1, 2))["AP easy"] == 75.8
    assert paper_row("hrnet_w32.pose_higher_crowdpose_512x512", "CrowdPose", "test", (1, 2))["AP"] == 66.1
    assert paper_row(name, "CrowdPose", "val") is None and paper_row(name, "COCO", "val2017") is None

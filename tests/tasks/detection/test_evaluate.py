"""evaluate: a detector that knows the answer scores 100; notes; results; what is refused."""

import json

import pytest
import torch

from hrnet_fast.tasks.detection import CocoObjects, Detector, evaluate
from hrnet_fast.tasks.detection.paper import paper_row
from hrnet_fast.tasks.detection.regions import Boxes
from hrnet_fast.tasks.stages import Stages
from tests.tasks.detection.files import NAME, coco_data, write_coco
from tests.tasks.detection.test_coco import truth


class Oracle(Detector):
    """Knows the annotations."""

    def find(self, picture, *, stages=None):
        self.seen = getattr(self, "seen", -1) + 1
        return truth((7, 9, 11)[self.seen])


def test_a_detector_that_knows_scores_a_hundred(tmp_path):
    done, stages = [], Stages()
    dataset = CocoObjects(write_coco(tmp_path))
    evaluation = evaluate(Oracle(NAME), dataset, progress=done.append, stages=stages)
    assert evaluation.metrics["AP"] == pytest.approx(100) and evaluation.images == sum(done) == 3
    assert (evaluation.task, evaluation.dataset, evaluation.model) == ("detection", "COCO val2017", NAME)
    assert list(stages.seconds) == ["read", "score"]


def test_a_random_detector_scores_next_to_nothing_and_its_boxes_are_written(tmp_path, detector):
    dataset, path = CocoObjects(write_coco(tmp_path / "coco")), tmp_path / "results.json"
    evaluation = evaluate(detector, dataset, limit=2, results=path)
    assert evaluation.images == 2 and all(0 <= value < 50 for value in evaluation.metrics.values())
    rows = json.loads(path.read_text())
    assert {row["image_id"] for row in rows} <= {7, 9} and {row["category_id"] for row in rows} <= {1, 3, 90}
    assert any("random" in note for note in evaluation.notes)
    assert "only the first 2 of 3 pictures" in evaluation.notes


def test_categories_that_the_network_does_not_know_are_noted(tmp_path):
    data = coco_data()
    data["categories"].append({"id": 91, "name": "dragon"})
    evaluation = evaluate(Oracle(NAME), CocoObjects(write_coco(tmp_path, data)))
    assert "1 of the 4 annotated categories are none of the network's" in evaluation.notes


def test_pictures_of_nothing_have_no_scores(tmp_path, detector):
    data = coco_data()
    data["annotations"] = []
    evaluation = evaluate(detector, CocoObjects(write_coco(tmp_path, data)), limit=1)
    assert evaluation.metrics == {}
    assert evaluation.notes[-1] == "nothing is annotated in these pictures, so there are no scores"


def test_a_test_split_needs_a_file_for_the_results(tmp_path, detector):
    data = coco_data()
    del data["annotations"]
    dataset = CocoObjects(write_coco(tmp_path / "coco", data, "image_info_test-dev2017"), "test-dev2017")
    with pytest.raises(ValueError, match="COCO test-dev2017 has no annotations to score with: give `results`"):
        evaluate(detector, dataset, progress=pytest.fail)
    assert evaluate(detector, dataset, limit=1, results=tmp_path / "r.json").metrics == {}


def test_results_that_cannot_be_written_are_known_before_the_first_picture(tmp_path, detector):
    with pytest.raises(OSError):
        evaluate(detector, CocoObjects(write_coco(tmp_path / "coco")), results=tmp_path, progress=pytest.fail)


def test_a_disk_that_fills_leaves_the_scores(tmp_path, monkeypatch):
    def full(path, rows):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("hrnet_fast.tasks.scored.write_results", full)
    evaluation = evaluate(Oracle(NAME), CocoObjects(write_coco(tmp_path / "coco")), results=tmp_path / "r.json")
    assert evaluation.metrics["AP"] == pytest.approx(100)
    assert evaluation.notes[-1].startswith("the results were not written: ")


def test_the_zoos_score_stands_beside_its_own_network_alone():
    assert paper_row("hrnet_w32.faster_rcnn_coco", "val2017") == {"AP": 41.4}
    assert paper_row("hrnet_w32.faster_rcnn_coco", "train2017") is paper_row(NAME, "val2017") is None


def test_what_differs_from_the_zoos_test_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("hrnet_fast.tasks.detection.paper._ROWS", {(NAME, "val2017"): 12.0})

    class Blind(Detector):
        def find(self, picture, *, stages=None):
            return Boxes(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))

    dataset = CocoObjects(write_coco(tmp_path))
    notes = evaluate(Blind(NAME, short_side=64, most=5), dataset).notes
    assert (
        "short_side is 64; in the paper's row it is 800" in notes and "most is 5; in the paper's row it is 100" in notes
    )
    assert not [note for note in evaluate(Blind(NAME), dataset).notes if "in the paper's row" in note]

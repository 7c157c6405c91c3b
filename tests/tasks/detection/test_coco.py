"""COCO's instances in their original files, and what their scorer says of known boxes."""

import pytest
import torch

from hrnet_fast.tasks.detection import COCO, CocoObjects
from hrnet_fast.tasks.detection.coco import METRICS, BoxScorer
from hrnet_fast.tasks.detection.regions import Boxes
from tests.tasks.detection.files import TRUTH, coco_data, write_coco


def truth(image: int, dx: float = 0.0, scores: tuple[float, ...] = (0.9, 0.8)) -> Boxes:
    rows = [(x + dx, y, x + dx + w, y + h) for _, (x, y, w, h) in TRUTH.get(image, [])]
    index = {1: 0, 3: 2, 90: 79}
    classes = torch.tensor([index[category] for category, _ in TRUTH.get(image, [])], dtype=torch.long)
    return Boxes(torch.tensor(rows).reshape(-1, 4), torch.tensor(scores[: len(rows)]), classes)


def scored(root, **options) -> dict[str, float]:
    dataset = CocoObjects(root)
    scorer = BoxScorer(dataset.annotations, list(dataset.categories.values()))
    for sample in dataset:
        scorer.add(sample.image_id, truth(sample.image_id, **options), dataset.ids_of(COCO))
    return scorer.result()


def test_the_truth_scores_a_hundred(tmp_path):
    metrics = scored(write_coco(tmp_path))
    assert set(metrics) == set(METRICS)  # the objects are of all three sizes
    assert metrics == pytest.approx(dict.fromkeys(METRICS, 100.0))


@pytest.mark.parametrize("ids", [(0, 1, 2), (5, 5, 5), (-1, 0, 1)], ids=str)
def test_objects_are_told_apart_whatever_their_ids(tmp_path, ids):
    data = coco_data()
    for entry, identity in zip(data["annotations"], ids, strict=True):
        entry["id"] = identity
    assert scored(write_coco(tmp_path, data)) == pytest.approx(dict.fromkeys(METRICS, 100.0))


def test_a_shift_scores_by_its_overlap(tmp_path):
    data = coco_data()
    data["annotations"] = data["annotations"][:1]  # 100 wide: shifted by 17, it overlaps by 83 / 117 = 0.709
    root, rows = write_coco(tmp_path, data), (truth(7, dx=17.0), truth(9), truth(11))
    dataset = CocoObjects(root)
    scorer = BoxScorer(dataset.annotations, list(dataset.categories.values()))
    scorer.add(7, Boxes(rows[0].corners[:1], rows[0].scores[:1], rows[0].classes[:1]), dataset.ids_of(COCO))
    metrics = scorer.result()
    assert (metrics["AP50"], metrics["AP75"]) == pytest.approx((100.0, 0.0))
    assert metrics["AP"] == pytest.approx(50.0)  # of the thresholds 0.5 to 0.95, those up to 0.7


def test_results_are_in_the_servers_format(tmp_path):
    dataset = CocoObjects(write_coco(tmp_path))
    scorer = BoxScorer(dataset.annotations, list(dataset.categories.values()))
    scorer.add(7, truth(7), dataset.ids_of(COCO))
    first, second = scorer.results()
    assert (first["image_id"], first["category_id"], first["bbox"]) == (7, 1, [10.0, 20.0, 100.0, 150.0])
    assert (second["category_id"], second["bbox"]) == (3, [120.5, 30.25, 31.0, 30.0])
    assert second["score"] == pytest.approx(0.8)


def test_boxes_of_classes_that_are_not_annotated_are_left_out(tmp_path):
    data = coco_data()
    del data["categories"][1], data["annotations"][1]
    dataset = CocoObjects(write_coco(tmp_path, data))
    scorer = BoxScorer(dataset.annotations, list(dataset.categories.values()))
    scorer.add(7, truth(7), dataset.ids_of(COCO))
    assert [row["category_id"] for row in scorer.results()] == [1]


def test_pictures_come_in_the_files_order(tmp_path):
    dataset = CocoObjects(write_coco(tmp_path))
    assert [(sample.image_id, sample.image.is_file()) for sample in dataset] == [(7, True), (9, True), (11, True)]
    assert len(dataset) == 3 and dataset.categories == {"person": 1, "car": 3, "toothbrush": 90}


def test_other_classes_are_refused(tmp_path):
    dataset = CocoObjects(write_coco(tmp_path))
    with pytest.raises(ValueError, match=r"has none of the network's classes class 0 \.\.\.; its categories are"):
        dataset.ids_of(("class 0",))


def test_a_test_split_has_no_scores(tmp_path):
    data = coco_data()
    del data["annotations"]
    dataset = CocoObjects(write_coco(tmp_path, data, "image_info_test-dev2017"), "test-dev2017")
    assert not dataset.has_annotations and "hand the results in to COCO's server" in dataset.notes[0]
    assert BoxScorer(None, []).result() == {}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data["categories"].append({"id": 4, "name": "car"}), "has two categories 'car'"),
        (lambda data: data["categories"][0].pop("name"), "category 1 has no 'name'"),
        (lambda data: data["annotations"][0].update(category_id=2), "annotation 1 has the category 2, which the file"),
        (lambda data: data["annotations"][2].pop("area"), "annotation 3 has no 'area'"),
        (lambda data: data["annotations"][1].update(iscrowd=-1), "annotation 2 has the iscrowd -1; 0 or 1 is needed"),
        (lambda data: data["annotations"][0].update(bbox=[1, 2, 3]), r"has the box \[1, 2, 3\]; four finite numbers"),
    ],
)
def test_damaged_annotations_are_named(tmp_path, change, sentence):
    data = coco_data()
    change(data)
    with pytest.raises(ValueError, match=sentence) as raised:
        CocoObjects(write_coco(tmp_path, data))
    assert "instances_val2017.json" in str(raised.value) and "\n" not in str(raised.value)

"""COCO: the reader, the scorer on predictions whose score is known, and files that are not as they should be."""

import copy
import json

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.coco_scores import write_results
from hrnet_fast.tasks.pose import CocoKeypoints, read_detections
from hrnet_fast.tasks.pose.boxes import Regions, regions_of
from hrnet_fast.tasks.pose.coco_scorer import METRICS, average_precision
from hrnet_fast.tasks.pose.skeletons import COCO
from tests.exact import assert_exact
from tests.tasks.pose import official
from tests.tasks.pose.files import annotation, assert_refused, coco_data, keypoints, put, without, write_coco


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path / "coco")


def detections(root, rows, name="COCO_val2017_detections_AP_H_56_person.json"):
    (root / "person_detection_results").mkdir(exist_ok=True)
    path = root / "person_detection_results" / name
    path.write_text(json.dumps(rows))
    return path


def truth_of(dataset, sample):
    """The annotated keypoints of a sample's people, (N, 17, 3) with scores of 1."""
    people = [
        entry
        for entry in dataset.annotations["annotations"]
        if entry["image_id"] == sample.image_id and entry["category_id"] in (1, 8) and any(entry["keypoints"])
    ]
    points = torch.tensor([entry["keypoints"] for entry in people if not entry["iscrowd"]], dtype=torch.float64)
    points = points.reshape(-1, 17, 3)
    points[..., 2] = 1
    return points


def score(dataset, change=lambda points, sample: points):
    scorer = dataset.scorer()
    for sample in dataset:
        scorer.add(sample, change(truth_of(dataset, sample), sample).float(), regions_of(sample.boxes, 0.75))
    return scorer


def test_the_reader_gives_each_picture_with_its_people(root):
    dataset = CocoKeypoints(root)
    samples = list(dataset)
    assert len(dataset) == 3 and [sample.image_id for sample in samples] == [7, 9, 11]
    assert [len(sample.boxes) for sample in samples] == [2, 1, 0]
    # the official clean-up: one pixel less in width and height, and nothing beyond the border
    assert samples[0].boxes.tolist() == [[5, 10, 99, 104], [60, 8, 97, 109]]
    assert samples[0].box_scores.tolist() == [1, 1]
    assert samples[0].image == root / "val2017" / "000000000007.png" and samples[0].image.exists()
    assert dataset.notes == ["person boxes: the annotated ones; the papers' are a detector's, which score lower"]


def test_pictures_may_lie_where_the_official_code_has_them(root):
    (root / "images").mkdir()
    (root / "val2017").rename(root / "images" / "val2017")
    assert next(iter(CocoKeypoints(root))).image.exists()


def test_perfect_predictions_score_one(root):
    metrics = score(CocoKeypoints(root)).result()
    assert set(metrics) == set(METRICS)
    assert all(value == pytest.approx(100.0, abs=1e-9) for value in metrics.values())


@pytest.mark.parametrize(
    ("similarity", "thresholds"), [(0.96, 10), (0.72, 5), (0.51, 1), (0.49, 0)], ids=["0.96", "0.72", "0.51", "0.49"]
)
def test_a_known_shift_scores_what_the_formula_says(root, similarity, thresholds):
    """All of a person's points are moved so that exp(-d^2 / (2 (2 sigma)^2 area)) is `similarity` for each."""
    dataset = CocoKeypoints(root)
    areas = {entry["id"]: entry["area"] for entry in dataset.annotations["annotations"]}
    ids = {7: [1, 2], 9: [6], 11: []}

    def shift(points, sample):
        area = torch.tensor([areas[i] for i in ids[sample.image_id]], dtype=torch.float64)
        e = -np.log(similarity)
        points[..., 0] += (2 * e * area[:, None] * (2 * torch.tensor(COCO.sigmas, dtype=torch.float64)) ** 2).sqrt()
        return points

    metrics = score(dataset, shift).result()
    assert metrics["AP"] == pytest.approx(10.0 * thresholds, abs=1e-9)
    assert metrics["AR"] == pytest.approx(10.0 * thresholds, abs=1e-9)
    assert metrics["AP50"] == (100 if thresholds else 0)
    assert metrics["AP75"] == (100 if thresholds >= 6 else 0)


def test_a_missed_person_is_a_third_of_the_recall(root):
    aside = torch.tensor([1e4, 0, 0])
    metrics = score(CocoKeypoints(root), lambda points, sample: points + aside * (sample.image_id == 9)).result()
    assert metrics["AR"] == pytest.approx(200 / 3)
    # the two found people come first (equal scores, stable order), so precision is 1 up to a recall of 2/3
    assert metrics["AP"] == pytest.approx(100 * 67 / 101)


def test_double_people_are_suppressed_before_they_are_scored(root):
    dataset = CocoKeypoints(root)
    scorer = dataset.scorer()
    for sample in dataset:
        points = truth_of(dataset, sample)
        twice = torch.cat((points, points)).float()
        twice[len(points) :, :, 2] = 0.5
        regions = regions_of(sample.boxes, 0.75)
        doubled = type(sample)(sample.image, sample.image_id, sample.boxes.repeat(2, 1), sample.box_scores.repeat(2))
        scorer.add(doubled, twice, Regions(regions.centers.repeat(2, 1), regions.sizes.repeat(2, 1)))
    assert [row["score"] for row in scorer.results()] == [1, 1, 1]
    assert scorer.result()["AP"] == pytest.approx(100)


def test_results_are_the_official_rows(root):
    dataset = CocoKeypoints(root)
    sample = next(iter(dataset))
    points = torch.rand(2, 17, 3) * torch.tensor([160, 120, 1])
    scorer = dataset.scorer()
    scorer.add(sample, points, regions_of(sample.boxes, 0.75))
    rows = sorted(scorer.results(), key=lambda row: row["center"])
    for row, person, box in zip(rows, points.tolist(), sample.boxes.tolist()):
        center, scale = official.box_to_center_scale(box, 0.75)
        assert (row["image_id"], row["category_id"]) == (7, 1)
        assert row["keypoints"] == [value for point in person for value in point]
        assert row["score"] == pytest.approx(official.rescore([point[2] for point in person], 1.0), rel=1e-6)
        assert_exact(np.array([row["center"], row["scale"]]), np.array([center, scale]))


def test_nobody_found_scores_nothing(root):
    dataset = CocoKeypoints(root)
    scorer = dataset.scorer()
    for sample in dataset:
        scorer.add(sample, torch.zeros(0, 17, 3), Regions(torch.zeros(0, 2), torch.zeros(0, 2)))
    assert {scorer.result()[name] for name in METRICS} == {0.0}


def test_sizes_that_no_person_has_are_left_out(tmp_path):
    data = coco_data()
    data["annotations"] = data["annotations"][-1:]
    data["annotations"][0]["area"] = 2000.0
    metrics = score(CocoKeypoints(write_coco(tmp_path / "coco", data))).result()
    assert metrics["APM"] == pytest.approx(100) and "APL" not in metrics and "ARL" not in metrics


def test_scoring_prints_nothing_and_may_be_repeated(root, capsys):
    dataset = CocoKeypoints(root)
    rows = score(dataset).results()
    kept = copy.deepcopy(rows)
    first, second = (average_precision(dataset.annotations, rows, [7, 9, 11]) for _ in range(2))
    assert capsys.readouterr().out == ""
    assert rows == kept and first == second


def test_the_official_detections_are_found_and_used(root):
    path = detections(
        root,
        [
            {"image_id": 7, "category_id": 1, "bbox": [1.5, 2, 30, 40], "score": 0.75},
            {"image_id": 11, "category_id": 1, "bbox": [0, 0, 5, 9], "score": 0.25},
            {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.99},
            {"image_id": 7, "category_id": 1, "bbox": [1, 2, 0, 0], "score": 0.9},
            {"image_id": 7, "category_id": 1, "bbox": [1, 2, float("nan"), 4], "score": 0.9},
            {"image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.25},
        ],
    )
    dataset = CocoKeypoints(root)
    boxes = {sample.image_id: (sample.boxes.tolist(), sample.box_scores.tolist()) for sample in dataset}
    assert boxes == {7: ([[1.5, 2, 30, 40]], [0.75]), 9: ([], []), 11: ([[0, 0, 5, 9]], [0.25])}
    assert dataset.notes == [
        f"person boxes: {path.name}",
        "2 boxes without area or with numbers that are not finite were left out",
        "1 boxes of pictures that val2017 does not list were left out",
    ]
    assert len(next(iter(CocoKeypoints(root, boxes="annotations"))).boxes) == 2
    assert read_detections(path, threshold=0.5)[0] == {7: [(1.5, 2, 30, 40, 0.75)]}


@pytest.mark.parametrize(("person", "found", "taken"), [(1, (1, 2), 1), (2, (1, 2), 2), (2, (1, 3), 1)])
def test_people_are_the_annotations_category_or_else_cocos(tmp_path, person, found, taken):
    data = coco_data()
    for entry in (data["categories"][0], *(a for a in data["annotations"] if a["category_id"] == 1)):
        entry["id" if "name" in entry else "category_id"] = person
    root = write_coco(tmp_path / "coco", data)
    rows = [{"image_id": 7, "category_id": number, "bbox": [number, 0, 9, 9], "score": 1} for number in found]
    dataset = CocoKeypoints(root, boxes=detections(root, rows, "mine.json"))
    assert next(iter(dataset)).boxes[:, 0].tolist() == [taken]


@pytest.mark.parametrize("change", [{"image_id": 8}, {"category_id": 0}], ids=["other-pictures", "other-categories"])
def test_detections_that_match_nothing_are_refused(root, change):
    rows = [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1} | change]
    with pytest.raises(ValueError, match=r"mine.json has no box of a person \(category 1\) in a picture of val2017"):
        CocoKeypoints(root, boxes=detections(root, rows, "mine.json"))


def test_a_detection_at_the_threshold_and_one_without_a_width_count(root):
    path = detections(root, [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 0], "score": 0.5}])
    assert read_detections(path, threshold=0.5) == ({7: [(1, 2, 30, 0, 0.5)]}, 0)


def test_keypoints_are_counted_where_the_file_does_not(tmp_path):
    data = coco_data()
    for entry in data["annotations"]:
        entry.pop("num_keypoints", None)
    assert score(CocoKeypoints(write_coco(tmp_path / "coco", data))).result()["AP"] == pytest.approx(100)


def test_people_may_be_of_another_category_than_the_first(tmp_path):
    data = coco_data()
    data["categories"][0]["id"] = 8
    for entry in data["annotations"]:
        entry["category_id"] = {1: 8, 3: 3}[entry["category_id"]]
    assert score(CocoKeypoints(write_coco(tmp_path / "coco", data))).result()["AP"] == pytest.approx(100)


def test_a_test_split_has_pictures_and_detections_only(tmp_path):
    data = {name: value for name, value in coco_data().items() if name != "annotations"}
    root = write_coco(tmp_path / "coco", data, "test-dev2017", "image_info")
    with pytest.raises(FileNotFoundError, match="coco/test2017 is missing: download the images and "):
        CocoKeypoints(root, "test-dev2017")
    # lib/dataset/coco.py, image_path_from_index: test-dev's pictures lie in test2017
    (root / "test-dev2017").rename(root / "test2017")
    with pytest.raises(FileNotFoundError, match="test-dev2017 has no annotated boxes: give boxes=FILE of detections"):
        CocoKeypoints(root, "test-dev2017")
    rows = [{"image_id": 9, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.75}]
    dataset = CocoKeypoints(root, "test-dev2017", boxes=detections(root, rows, "mine.json"))
    assert all(sample.image.exists() for sample in list(dataset)[:2])
    assert dataset.scorer().result() == {}
    assert dataset.notes[-1] == "test-dev2017 has no public annotations: hand the results in to COCO's server"


def test_results_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, [{"image_id": 1}])
    assert json.loads(path.read_text()) == [{"image_id": 1}]
    with pytest.raises(TypeError):
        write_results(path, [{"image_id": object()}])
    assert json.loads(path.read_text()) == [{"image_id": 1}]
    assert [child.name for child in tmp_path.iterdir()] == ["results.json"]


BAD = {
    "no-bbox": (without("bbox"), "annotation 1 has no 'bbox'"),
    "no-keypoints": (without("keypoints"), "annotation 1 has no 'keypoints'"),
    "no-area": (without("area", index=5), "annotation 6 has no 'area'"),
    "no-id": (without("id", index=1), "annotation 1 has no 'id'"),
    "no-file-name": (without("file_name", "images", 1), "image 1 has no 'file_name'"),
    "no-categories": (lambda data: data.pop("categories"), "val2017.json has no 'categories'"),
    "unknown-category": (put("category_id", 8), "annotation 1 has the category 8, which the file does not list"),
    "unknown-image": (put("image_id", 8), "annotation 1 is of image 8, which the file does not list"),
    "short-keypoints": (
        put("keypoints", [1, 2, 3]),
        "annotation 1 has keypoints that are not 51 numbers: x, y and visibility of each",
    ),
    "words-for-a-box": (put("bbox", ["a"] * 4), "annotation 1 has the box ['a', 'a', 'a', 'a']; four finite numbers"),
    "nan-box": (put("bbox", [1, 2, float("nan"), 4]), "annotation 1 has the box [1, 2, nan, 4]; four finite numbers"),
    "word-for-an-area": (put("area", "large"), "annotation 1 has the area 'large'; a finite number is needed"),
    "nan-area": (put("area", float("nan")), "annotation 1 has the area nan; a finite number is needed"),
    "list-for-an-id": (put("id", [7], "images"), "image 0 has the id [7]; a whole number is needed"),
    "number-for-a-name": (put("file_name", 7, "images", 2), "image 2 has the file_name 7; text is needed"),
    "word-for-a-width": (put("width", "wide", "images"), "image 0 has the width 'wide'; a finite number is needed"),
    "null-annotations": (lambda data: data.update(annotations=None), "has the annotations None; a list is needed"),
    "no-annotations": (lambda data: data.pop("annotations"), "val2017.json has no 'annotations'"),
    "null-for-a-crowd": (put("iscrowd", None), "annotation 1 has the iscrowd None; 0 or 1 is needed"),
    "no-people": (put("name", "dog", "categories"), "has no category 'person', only 'dog', 'car'"),
    "twice": (lambda data: data["images"].append(data["images"][1]), "val2017.json lists image 9 twice"),
    "no-images": (lambda data: data["images"].clear(), "lists no images: there is nothing to evaluate"),
}


@pytest.mark.parametrize(("change", "sentence"), BAD.values(), ids=BAD)
def test_bad_annotations_get_one_sentence(tmp_path, change, sentence):
    data = coco_data()
    change(data)
    assert_refused(CocoKeypoints, write_coco(tmp_path / "coco", data), "annotations", sentence)


def test_missing_files_say_what_to_download(root):
    (root / "val2017").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"val2017 is missing: download .* of val2017 from .*cocodataset.org"):
        CocoKeypoints(root)
    with pytest.raises(FileNotFoundError, match=r"person_keypoints_train2017.json is missing: download"):
        CocoKeypoints(root, "train2017")
    (root / "elsewhere").rename(root / "val2017")
    with pytest.raises(FileNotFoundError, match=r"nothing.json is missing: a file of detections, such as COCO_val2017"):
        CocoKeypoints(root, boxes=root / "nothing.json")


def test_a_cut_off_file_gets_one_sentence(root):
    path = root / "annotations" / "person_keypoints_val2017.json"
    path.write_text(path.read_text()[:500])
    with pytest.raises(ValueError, match=r"person_keypoints_val2017.json is no JSON, or is cut off: "):
        CocoKeypoints(root)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ({"a": 1}, "is not a list of detections"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}], "detection 0 has no 'score'"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3], "score": 1}], "detection 0 has the box [1, 2, 3]"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": "high"}], "and the score high; x, y, width"),
        (
            [{"image_id": [1], "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}],
            "detection 0 has the image_id [1]; a whole",
        ),
    ],
    ids=["no-list", "no-score", "short-box", "word-score", "list-image"],
)
def test_bad_detections_get_one_sentence(root, rows, sentence):
    with pytest.raises(ValueError) as caught:
        CocoKeypoints(root, boxes=detections(root, rows, "mine.json"))
    assert sentence in str(caught.value)


def test_people_with_impossible_boxes_are_left_out_and_counted(tmp_path):
    data = coco_data()
    data["annotations"] += [
        annotation(20, 9, (500, 20, 50, 60)),  # outside the picture
        annotation(21, 9, (50, 20, 1, 1)),  # a pixel, which the official clean-up makes an empty box
        annotation(22, 9, (50, 20, 30, 30), area=0.0),
        annotation(23, 9, (150, 100, 50, 60), keypoints=keypoints(150, 100, 9, 9)),  # across the border: cut there
    ]
    dataset = CocoKeypoints(write_coco(tmp_path / "coco", data))
    assert list(dataset)[1].boxes.tolist() == [[100, 20, 54, 59], [150, 100, 9, 19]]
    assert dataset.notes[1] == "3 boxes without area or outside their picture were left out"

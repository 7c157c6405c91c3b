"""CrowdPose: the reader, its metric beside the official one, and files that are not as they should be."""

import json
import random

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.pose import CrowdPoseKeypoints
from hrnet_fast.tasks.pose.boxes import regions_of
from hrnet_fast.tasks.pose.crowdpose import CrowdPosePictures, crowd_precision
from hrnet_fast.tasks.pose.skeletons import CROWDPOSE
from tests.tasks.pose.files import assert_refused, crowdpose_annotation, crowdpose_data, put, without, write_crowdpose

METRICS = ["AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP easy", "AP medium", "AP hard"]


@pytest.fixture
def root(tmp_path):
    return write_crowdpose(tmp_path / "crowdpose")


def truth_of(dataset, sample):
    """The annotated keypoints of a sample's people who are scored, (N, 14, 3) with scores of 1."""
    people = [a for a in dataset.annotations["annotations"] if a["image_id"] == sample.image_id and a["num_keypoints"]]
    points = torch.tensor([person["keypoints"] for person in people]).reshape(-1, 14, 3)
    points[..., 2] = 1
    return points


def score(dataset, change=lambda points, sample: points):
    scorer = dataset.scorer()
    for sample in dataset:
        scorer.add(sample, change(truth_of(dataset, sample), sample), regions_of(sample.boxes, 0.75))
    return scorer


def test_the_reader_gives_each_picture_with_its_people(root):
    dataset = CrowdPoseKeypoints(root)
    samples = list(dataset)
    assert (len(dataset), dataset.split, dataset.keypoints) == (3, "test", 14)
    assert [sample.image_id for sample in samples] == [100000, 100001, 100002]
    # as mmpose has it: clipped at the last pixel, and without those of whom no limb is marked
    assert [s.boxes.tolist() for s in samples] == [[[5, 10, 100, 105]], [[60, 8, 98, 110]], [[20, 20, 139, 99]]]
    assert all(sample.image.exists() and sample.box_scores.tolist() == [1] for sample in samples)
    assert dataset.notes == ["person boxes: the annotated ones; the papers' are a detector's, which score lower"]
    assert [len(sample.boxes) for sample in CrowdPosePictures(root)] == [0, 0, 0]
    assert CrowdPosePictures(root).notes == []


@pytest.mark.parametrize("place", ["annotations/crowdpose_val.json", "annotations/mmpose_crowdpose_val.json"])
def test_annotations_may_lie_elsewhere(tmp_path, place):
    assert len(CrowdPosePictures(write_crowdpose(tmp_path / "crowdpose", place=place), "val")) == 3


def test_the_detections_of_mmpose_are_found_and_used(root):
    (root / "annotations").mkdir()
    rows = [{"image_id": 100001, "category_id": 1, "bbox": [1.5, 2, 30, 40], "score": 0.75}]
    (root / "annotations" / "det_for_crowd_test_0.1_0.5.json").write_text(json.dumps(rows))
    dataset = CrowdPoseKeypoints(root)
    assert [sample.boxes.tolist() for sample in dataset] == [[], [[1.5, 2, 30, 40]], []]
    assert dataset.notes == ["person boxes: det_for_crowd_test_0.1_0.5.json"]
    assert len(next(iter(CrowdPoseKeypoints(root, boxes="annotations"))).boxes) == 1


def test_perfect_predictions_score_a_hundred(root):
    metrics = score(CrowdPoseKeypoints(root)).result()
    assert list(metrics) == METRICS
    assert all(value == pytest.approx(100.0, abs=1e-9) for value in metrics.values())


@pytest.mark.parametrize(("similarity", "thresholds"), [(0.96, 10), (0.72, 5), (0.51, 1), (0.49, 0)])
def test_a_known_shift_scores_what_the_formula_says(root, similarity, thresholds):
    """All points are moved so that exp(-d^2 / (2 (2 sigma)^2 area)) is `similarity`; the area is 0.53 of the box's."""
    dataset = CrowdPoseKeypoints(root)
    areas = {a["image_id"]: 0.53 * a["bbox"][2] * a["bbox"][3] for a in dataset.annotations["annotations"][:3]}
    sigmas = torch.tensor(CROWDPOSE.sigmas)

    def shift(points, sample):
        points[..., 0] += (-2 * np.log(similarity) * areas[sample.image_id] * (2 * sigmas) ** 2).sqrt()
        return points

    metrics = score(dataset, shift).result()
    for name in ("AP", "AR", "AP easy", "AP medium", "AP hard"):
        assert metrics[name] == pytest.approx(10.0 * thresholds, abs=1e-9)
    assert metrics["AP50"] == (100 if thresholds else 0)


@pytest.mark.parametrize(("image", "level"), [(100000, "AP easy"), (100001, "AP medium"), (100002, "AP hard")])
def test_who_is_missed_counts_in_the_level_of_the_picture(root, image, level):
    """The indices are 0.19, 0.2 and 0.8: a border belongs to the level above it."""
    far = torch.tensor([1e4, 0, 0])
    metrics = score(CrowdPoseKeypoints(root), lambda points, sample: points + far * (sample.image_id == image)).result()
    assert {name: metrics[name] for name in METRICS[6:]} == pytest.approx(
        {name: 0 if name == level else 100 for name in METRICS[6:]}
    )
    assert metrics["AR"] == pytest.approx(200 / 3)


def test_who_has_no_marked_limb_is_passed_over(root):
    """num_keypoints of the files counts neither head nor neck, and the official evaluation goes by it."""
    dataset = CrowdPosePictures(root)
    hard = list(dataset)[2]
    passed = torch.tensor(crowdpose_data()["annotations"][3]["keypoints"]).reshape(1, 14, 3)
    people = torch.cat((truth_of(dataset, hard), passed))
    scorer = dataset.scorer()
    scorer.add_people(hard, people, torch.tensor([0.5, 0.9]))
    assert scorer.result() == {name: pytest.approx(100) for name in METRICS if name not in ("AP easy", "AP medium")}


def test_duplicates_are_suppressed_by_the_sigmas_of_fourteen_keypoints(root):
    dataset = CrowdPoseKeypoints(root)
    sample = next(iter(dataset))
    points = truth_of(dataset, sample).repeat(2, 1, 1)
    points[1, :, 2] = 0.5
    twice = type(sample)(sample.image, sample.image_id, sample.boxes.repeat(2, 1), sample.box_scores.repeat(2))
    for far, kept in ((0, 1), (1, 1), (2, 2)):  # far keypoints leave a likeness of 1, of 13 / 14 and of 12 / 14
        points[1, :far, 0] += 1e3
        scorer = dataset.scorer()
        scorer.add(twice, points, regions_of(twice.boxes, 0.75))
        assert len(scorer.results()) == kept


@pytest.mark.parametrize("pictures", [3, 1])
def test_nobody_found_scores_nothing(root, pictures):
    dataset = CrowdPosePictures(root)
    scorer = dataset.scorer()
    for sample in list(dataset)[:pictures]:
        scorer.add_people(sample, torch.zeros(0, 14, 3), torch.zeros(0))
    assert scorer.result() == dict.fromkeys(METRICS[: 6 + pictures], 0.0)


def planted(seed):
    """Annotations with crowds and people who are not scored, and results that miss and double, with equal scores."""
    rng = random.Random(seed)
    images = [
        {"id": number, "crowdIndex": rng.choice((0, 0.1, 0.2, 0.8, round(1.5 * rng.random(), 2)))}
        for number in range(100, 112)
    ]
    annotations, rows = [], []

    def add_row(image, keypoints, noise):
        moved = [v + noise * (rng.random() - 0.5) if i % 3 < 2 else v for i, v in enumerate(keypoints)]
        rows.append({"image_id": image, "category_id": 1, "keypoints": moved, "score": rng.randrange(50) / 50})

    for image in images:
        for _ in range(rng.randrange(26)):  # COCOeval looks at 20 results of a picture
            x, y, width, height = 400 * rng.random(), 300 * rng.random(), 5 + 150 * rng.random(), 5 + 200 * rng.random()
            entry = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": 1}
            points = [
                (round(x + width * rng.random()), round(y + height * rng.random()), rng.randrange(3)) for _ in range(14)
            ]
            entry["num_keypoints"] = sum(seen > 0 for _, _, seen in points[:12]) if rng.random() < 0.9 else 0
            entry |= {"iscrowd": int(rng.random() < 0.1), "keypoints": [v for point in points for v in point]}
            entry["bbox"] = [x, y, width, height]
            annotations.append(entry)
            for _ in range(rng.choice((0, 1, 1, 1, 2))):
                add_row(image["id"], entry["keypoints"], rng.random() * 0.5 * (width * height) ** 0.5)
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}, rows


# crowdposetools of github.com/Jeff-sjtu/CrowdPose, commit 86fe5e1, on planted(seed); np.float = float, and without
# its compiled masks, which keypoints do not need
OFFICIAL = {
    0: (0.1751265154514145, 0.38249110515651247, 0.15256554790754595, 0.3476510067114094, 0.5771812080536913,
        0.33557046979865773, 0.2287, 0.1378, 0.1783),
    1: (0.18380752227434333, 0.4028049309663529, 0.14254280434736633, 0.3836206896551724, 0.5862068965517241,
        0.35344827586206895, 0.191, 0.2185, 0.2028),
    2: (0.18699491033659763, 0.42385920408288447, 0.14361999369846182, 0.3746666666666666, 0.58,
        0.35333333333333333, 0.199, 0.1483, 0.2463),
}  # fmt: skip


@pytest.mark.parametrize("seed", OFFICIAL)
def test_the_metric_is_the_official_one(seed):
    data, rows = planted(seed)
    got = crowd_precision(data, rows, [image["id"] for image in data["images"]])
    want = dict(zip(METRICS, OFFICIAL[seed]))
    assert {name: got[name] for name in METRICS[:6]} == {name: want[name] for name in METRICS[:6]}
    # the official code rounds these to four digits
    assert {name: round(got[name], 4) for name in METRICS[6:]} == {name: want[name] for name in METRICS[6:]}
    assert all("area" not in entry for entry in data["annotations"])


BAD = {
    "no-index": (without("crowdIndex", "images", 1), "image 1 has no 'crowdIndex'"),
    "nan-index": (put("crowdIndex", float("nan"), "images", 1), "image 1 has the crowdIndex nan; a finite number is"),
    "word-index": (put("crowdIndex", "low", "images"), "image 0 has the crowdIndex 'low'; a finite number is"),
    "no-count": (without("num_keypoints"), "annotation 1 has no 'num_keypoints'"),
    "word-count": (put("num_keypoints", "12"), "annotation 1 has the num_keypoints '12'; a finite"),
    "no-box": (without("bbox", index=2), "annotation 3 has no 'bbox'"),
    "cocos-keypoints": (put("keypoints", [1] * 51), "annotation 1 has keypoints that are not 42 num"),
    "no-annotations": (lambda data: data.pop("annotations"), "crowdpose_test.json has no 'annotations'"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "sentence"), BAD.values(), ids=BAD)
def test_bad_annotations_get_one_sentence(tmp_path, spoil, sentence):
    data = crowdpose_data()
    spoil(data)
    assert_refused(CrowdPoseKeypoints, write_crowdpose(tmp_path / "crowdpose", data), "json", sentence)


def test_missing_files_say_what_to_download(root):
    with pytest.raises(
        FileNotFoundError, match=r"json/crowdpose_train.json is missing: download the images and annotat"
    ):
        CrowdPoseKeypoints(root, "train")
    (root / "images").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"/images is missing: download .* README of github.com/Jeff-sjtu/Crow"):
        CrowdPosePictures(root)


def test_boxes_outside_their_picture_are_left_out_and_counted(tmp_path):
    data = crowdpose_data()
    data["annotations"].append(crowdpose_annotation(6, 100000, (500, 20, 50, 60)))
    dataset = CrowdPoseKeypoints(write_crowdpose(tmp_path / "crowdpose", data))
    assert [len(sample.boxes) for sample in dataset] == [1, 1, 1]
    assert dataset.notes[1] == "1 boxes without area or outside their picture were left out"

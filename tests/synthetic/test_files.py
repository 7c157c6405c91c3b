"""The data sets' own files: the field's tools load them, and the readers give back what was drawn."""

import contextlib
import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from hrnet_fast.synthetic import (
    WRITERS,
    figure_scene,
    files,
    parsing_scene,
    place_scene,
    street_scene,
    write_300w,
    write_cityscapes,
    write_coco,
    write_cofw,
    write_crowdpose,
    write_imagenet,
    write_lip,
    write_mpii,
    write_pascal_context,
    write_wflw,
)
from hrnet_fast.synthetic.cityscapes import colours
from hrnet_fast.synthetic.coco import polygons, run_lengths
from hrnet_fast.synthetic.crowdpose import crowd_index
from hrnet_fast.synthetic.files import scene_seed
from hrnet_fast.tasks import classification, pose, segmentation
from hrnet_fast.tasks.pose.boxes import regions_of
from tests.synthetic.alike import assert_about

SIZE = (161, 221)
IMAGES = 5


@pytest.fixture(scope="module")
def coco_root(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("coco"), 12, 3, SIZE)


def load(root):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(root / "annotations" / "person_keypoints_val2017.json"))


def truths(images, seed):
    return [figure_scene(scene_seed(seed, index), SIZE) for index in range(images)]


def test_coco_has_the_fields_of_the_format(coco_root):
    content = json.loads((coco_root / "annotations" / "person_keypoints_val2017.json").read_text())
    assert {"info", "licenses", "images", "annotations", "categories"} == set(content)
    (category,) = content["categories"]
    assert (category["id"], category["name"], len(category["keypoints"])) == (1, "person", 17)
    assert category["keypoints"] == list(pose.COCO.keypoints)
    wanted = {"id", "image_id", "category_id", "iscrowd", "num_keypoints", "keypoints", "bbox", "area", "segmentation"}
    for entry in content["annotations"]:
        assert set(entry) == wanted
        assert len(entry["keypoints"]) == 51
        assert entry["num_keypoints"] == sum(mark > 0 for mark in entry["keypoints"][2::3])
    for entry in content["images"]:
        with Image.open(coco_root / "val2017" / entry["file_name"]) as image:
            assert image.size == (entry["width"], entry["height"])


def test_pycocotools_finds_the_people_that_were_drawn(coco_root):
    coco, scenes = load(coco_root), truths(12, 3)
    crowds = 0
    for image, (_, people) in zip(coco.getImgIds(), scenes):
        entries = coco.loadAnns(coco.getAnnIds(imgIds=image))
        assert len(entries) == len(people)
        for entry, person in zip(entries, people):
            mask = coco.annToMask(entry).astype(bool)
            assert entry["area"] == person.area
            np.testing.assert_array_equal(np.reshape(entry["keypoints"], (17, 3)), person.keypoints)
            if entry["iscrowd"]:
                crowds += 1
                np.testing.assert_array_equal(mask, person.mask)
            elif person.area > 400:
                assert (mask & person.mask).sum() / (mask | person.mask).sum() > 0.85
    assert crowds


def test_perfect_keypoints_score_1_by_pycocotools(coco_root):
    from pycocotools.cocoeval import COCOeval

    coco = load(coco_root)
    people = [entry for entry in coco.dataset["annotations"] if entry["num_keypoints"]]
    found = [{key: entry[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0} for entry in people]
    with contextlib.redirect_stdout(io.StringIO()):
        scored = COCOeval(coco, coco.loadRes(found), "keypoints")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1.0)
    assert scored.stats[5] == pytest.approx(1.0)


def test_coco_reader_finds_boxes_and_detections(coco_root):
    annotated = list(pose.DATASETS["coco"](coco_root, boxes="annotations"))
    scenes = truths(12, 3)
    assert len(annotated) == 12
    for sample, (_, people) in zip(annotated, scenes):
        marked = [person.box for person in people if not person.crowd and person.num_keypoints]
        # The official reader takes the corners inside the picture: the last pixel is one less than the width.
        np.testing.assert_array_equal(sample.boxes.numpy()[:, :2].reshape(-1, 2), np.reshape(marked, (-1, 4))[:, :2])
    detected = list(pose.DATASETS["coco"](coco_root))
    assert sum(len(sample.boxes) for sample in detected) >= sum(len(sample.boxes) for sample in annotated)
    assert all(0 < score < 1 for sample in detected for score in sample.box_scores.tolist())


def test_run_lengths_and_polygons_of_ugly_masks():
    from pycocotools import mask as tools

    rng = np.random.default_rng(0)
    masks = [rng.random((7, 5)) < share for share in (0.0, 0.3, 0.7, 1.0)]
    for mask in masks:
        lengths = run_lengths(mask)
        assert sum(lengths["counts"]) == mask.size
        np.testing.assert_array_equal(tools.decode(tools.frPyObjects(lengths, 7, 5)).astype(bool), mask)
    single = np.zeros((5, 6), bool)
    single[2, 3] = True
    (corners,) = polygons(single)
    np.testing.assert_array_equal(np.reshape(corners, (-1, 2)).mean(axis=0), (3.5, 2.5))
    assert polygons(np.zeros((4, 4), bool)) == []


def test_mpii_scores_100_with_its_own_joints(tmp_path):
    import torch
    from scipy.io import loadmat

    write_mpii(tmp_path, 4, 1, SIZE)
    dataset = pose.DATASETS["mpii"](tmp_path)
    entries = json.loads((tmp_path / "annot" / "valid.json").read_text())
    truth = loadmat(tmp_path / "annot" / "gt_valid.mat")
    assert len(dataset) == len(entries) == truth["pos_gt_src"].shape[2]
    assert truth["pos_gt_src"].shape[:2] == (16, 2)
    assert [str(name[0]) for name in truth["dataset_joints"][0]] == [
        "rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head", "rwri", "relb", "rsho", "lsho",
        "lelb", "lwri",
    ]  # fmt: skip
    scorer = dataset.scorer()
    for sample, entry in zip(dataset, entries):
        points = torch.ones(1, 16, 3, dtype=torch.float64)
        points[0, :, :2] = torch.tensor(entry["joints"]) - 1  # the file counts from 1
        scorer.add(sample, points, None)
        x, _, width, height = sample.boxes[0].tolist()
        assert x < points[0, 8, 0] < x + width or not entry["joints_vis"][8]
        assert width > 0 < height
    result = scorer.result()
    assert result["Mean"] == pytest.approx(100.0)


def test_mpii_without_anybody_is_one_sentence(tmp_path, monkeypatch):
    from hrnet_fast.synthetic import mpii

    monkeypatch.setattr(mpii, "figure_scene", lambda *_, **__: (np.zeros((*SIZE, 3), np.uint8), []))
    with pytest.raises(ValueError, match="nobody can be seen in pictures of 161 x 221"):
        write_mpii(tmp_path, 2, 0, SIZE)


@pytest.mark.parametrize("seed", range(3))
def test_crowdpose_has_easy_medium_and_hard_pictures(seed, tmp_path):
    import torch

    write_crowdpose(tmp_path, seed=seed)
    content = json.loads((tmp_path / "json" / "crowdpose_test.json").read_text())
    levels = np.histogram([image["crowdIndex"] for image in content["images"]], (0, 0.1, 0.8, np.inf))[0]
    assert levels.sum() == 8 and levels.min() >= 2
    dataset = pose.DATASETS["crowdpose"](tmp_path, boxes="annotations", nms=None)  # two may stand as one
    scorer, people = dataset.scorer(), content["annotations"]
    for image, sample in zip(content["images"], dataset):
        own = [entry for entry in people if entry["image_id"] == image["id"] and entry["num_keypoints"]]
        points = torch.tensor([entry["keypoints"] for entry in own], dtype=torch.float64).reshape(-1, 14, 3)
        assert len(own) == len(sample.boxes) and image["file_name"] == f"{image['id']}.jpg"
        for entry, marks in zip(own, points.numpy()):
            assert entry["num_keypoints"] == (marks[:12, 2] > 0).sum()
            x, y, width, height = entry["bbox"]
            seen = marks[marks[:, 2] > 0, :2]
            assert (seen >= (x, y)).all() and (seen <= (x + width + 1e-9, y + height + 1e-9)).all()
        points[..., 2] = 1
        scorer.add(sample, points, regions_of(sample.boxes, 0.75))
    metrics = scorer.result()
    assert len(metrics) == 9 and all(value == pytest.approx(100) for value in metrics.values())


def test_the_crowd_index_counts_the_keypoints_of_others():
    marks = np.zeros((3, 14, 3))
    marks[0, :4] = 5, 5, 2
    marks[1, :2] = 15, 5, 1  # in the box of the second alone
    marks[1, 2:4] = 8, 8, 2  # in the box of the first too
    assert crowd_index(marks[:2], [(0, 0, 10, 10), (7, 0, 10, 10)]) == (2 / 4 + 0 / 4) / 2
    # of whom no keypoint is in the box does not count
    assert crowd_index(marks, [(0, 0, 10, 10), (7, 0, 10, 10), (0, 0, 20, 20)]) == (2 / 4 + 0 / 4) / 2
    assert crowd_index([], []) == 0


def test_cityscapes(tmp_path):
    write_cityscapes(tmp_path, 2, 1, (97, 193))
    samples = list(segmentation.DATASETS["cityscapes"](tmp_path))
    assert len(samples) == 2
    for index, sample in enumerate(samples):
        picture, truth = street_scene(scene_seed(1, index), (97, 193))
        with Image.open(sample.image) as image:
            np.testing.assert_array_equal(np.asarray(image), picture)
        np.testing.assert_array_equal(sample.instances().numpy(), truth.instance_ids)
        labels = sample.truth().numpy()
        for label in (7, 11, 23):
            np.testing.assert_array_equal(labels == {7: 0, 11: 2, 23: 10}[label], truth.label_ids == label)
        assert (labels[truth.label_ids < 7] == 255).all()
        colour = sample.image.parents[3] / "gtFine" / "val" / "musterstadt" / f"{sample.key}_gtFine_color.png"
        with Image.open(colour) as image:
            np.testing.assert_array_equal(np.asarray(image), colours()[truth.label_ids])


@pytest.mark.parametrize("layout", ["masks", "original"])
def test_pascal_context_in_both_layouts(layout, tmp_path):
    write_pascal_context(tmp_path, 3, 1, (96, 144), layout=layout)
    with_background = list(segmentation.DATASETS["pascal_context60"](tmp_path))
    without = list(segmentation.DATASETS["pascal_context59"](tmp_path))
    assert len(with_background) == len(without) == 3
    for index, (sixty, fiftynine) in enumerate(zip(with_background, without)):
        picture, labels = place_scene(scene_seed(1, index), (96, 144))
        np.testing.assert_array_equal(sixty.truth().numpy(), labels)
        np.testing.assert_array_equal(fiftynine.truth().numpy(), np.where(labels == 0, 255, labels - 1.0))
        assert_about(sixty.image, picture)


def test_lip(tmp_path):
    write_lip(tmp_path, 3, 1, (120, 80))
    samples = list(segmentation.DATASETS["lip"](tmp_path))
    assert len(samples) == 3
    for index, sample in enumerate(samples):
        _, labels = parsing_scene(scene_seed(1, index), (120, 80))
        np.testing.assert_array_equal(sample.truth().numpy(), labels)


def test_imagenet(tmp_path):
    write_imagenet(tmp_path, 6, 1, (64, 80))
    dataset = classification.DATASETS["imagenet"](tmp_path)
    assert dataset.classes == ("n00007846", "n04334599", "n05600637", "n99999999")
    assert sorted(sample.label for sample in dataset) == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_no_pictures_is_one_sentence(name, tmp_path):
    with pytest.raises(ValueError, match="images is 0; a data set needs at least one"):
        WRITERS[name](tmp_path, 0)


@pytest.mark.parametrize("write", [write_wflw, write_300w, write_pascal_context])
def test_an_unknown_layout_is_one_sentence(write, tmp_path):
    with pytest.raises(ValueError, match="layout 'mine' is not known; choose one of "):
        write(tmp_path, 1, layout="mine")


def test_an_unknown_split_of_cofw_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="COFW has no split 'val'"):
        write_cofw(tmp_path, 1, split="val")


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_json(path, [1])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_json(path, [2])
    assert json.loads(path.read_text()) == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("package", "write", "sentence"),
    [
        ("cv2", write_coco, "videos, drawn scenes and the pictures of LIP and PASCAL-Context need OpenCV: pip install"),
        ("PIL.Image", write_lip, "pictures need Pillow: pip install"),
        ("scipy.io", write_mpii, "Matlab's files need SciPy: pip install"),
        ("h5py", write_cofw, "Matlab's files of version 7.3 need h5py: pip install"),
    ],
)
def test_a_missing_package_is_one_sentence(package, write, sentence, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RuntimeError, match=sentence):
        write(tmp_path, 1, 0, (96, 128))

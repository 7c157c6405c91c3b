"""synth, evaluate and predict for each task: a data set is rendered, scored and drawn, with nothing downloaded."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrnet_fast.cli.arguments import DATASETS as NAMES
from hrnet_fast.cli.commands.synth import MARK
from hrnet_fast.cli.tasks import estimator_options
from hrnet_fast.synthetic import WRITERS
from hrnet_fast.tasks.registry import HEADS, package_of
from tests.tasks.detection.files import write_coco

SMALL = "hrnet_w18_small"
# data set, and what else is read of it -> (model, options of evaluate, a metric that it has)
DATASETS = {
    "coco": ("pose_coco_256x192", ("--boxes", "annotations", "--no-flip", "--nms", "none"), "AP"),
    "coco bottom-up": ("pose_higher_coco_512x512", ("--short-side", "64", "--scales", "0.5,1", "--no-refine"), "AR"),
    "coco detection": ("faster_rcnn_coco", ("--short-side", "64", "--threshold", "0.1"), "AP50"),
    "mpii": ("pose_mpii_256x256", ("--decode", "dark", "--no-shift"), "Mean"),
    "crowdpose": ("pose_crowdpose_256x192", ("--nms", "soft"), "AP"),
    "crowdpose bottom-up": ("pose_higher_crowdpose_512x512", ("--short-side", "64"), "AP easy"),
    "cityscapes": ("seg_cityscapes", ("--resize", "64x128", "--per-class"), "iIoU"),
    "lip": ("seg_lip", ("--resize", "96x64", "--flip"), "mIoU"),
    "pascal_context59": ("seg_ocr_pascal_context59", ("--resize", "64x96",), "mIoU"),
    "pascal_context60": ("seg_pascal_context60", ("--resize", "64x96", "--scales", "0.75,1"), "mIoU"),
    "wflw": ("landmark_wflw", ("--flip",), "NME"),
    "300w": ("landmark_300w", ("--protocol", "affine"), "NME"),
    "cofw": ("landmark_cofw", ("--protocol", "mmpose"), "NME"),
    "aflw": ("landmark_aflw", (), "NME"),
    "imagenet": ("cls_in1k", (), "top-1"),
}  # fmt: skip


def test_every_data_set_is_here():
    readable = {name for task in HEADS for name in package_of(task).DATASETS}
    assert readable == set(WRITERS) == set(NAMES) == {name.split()[0] for name in DATASETS}


@pytest.mark.parametrize("case", DATASETS)
def test_a_rendered_data_set_is_scored(run, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    dataset, (model, options, metric) = case.split()[0], DATASETS[case]
    written = run("synth", dataset, "--root", "data", "--images", "2", "--size", "240x320")
    assert (written.code, written.err) == (0, "") and "2 pictures in data" in written.out
    result = run("evaluate", "--model", f"{SMALL}.{model}", "--dataset", dataset, "--root", "data", *options, "--json")
    assert (result.code, result.err) == (0, "")
    data = result.json()
    assert data["images"] >= 2 and data["task"] in HEADS
    assert data["sample"] == ("person" if dataset == "mpii" else "face" if data["task"] == "landmark" else "image")
    assert isinstance(data["metrics"][metric], float)
    assert data["seconds"]["network"] > 0 and any("random" in note for note in data["notes"])


def test_synth_writes_over_nothing_but_its_own(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = Path("real/annotations/person_keypoints_val2017.json")
    real.parent.mkdir(parents=True)
    real.write_text("{}")
    refused = run("synth", "coco", "--root", "real", "--images", "1", "--size", "96x128")
    assert refused.code != 0 and "real holds files that synth did not write" in refused.err
    assert real.read_text() == "{}" and not list(Path("real").glob("val2017"))
    for _ in range(2):
        assert run("synth", "coco", "--root", "own", "--images", "1", "--size", "96x128").code == 0


def test_synth_leaves_nothing_of_its_last_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for dataset, images in ("imagenet", 5), ("coco", 2), ("imagenet", 2):
        assert run("synth", dataset, "--root", "own", "--images", str(images), "--size", "32x32").code == 0
    assert len(list(Path("own").rglob("*.JPEG"))) == len(list(Path("own/val2017").iterdir())) == 2
    assert len(list(Path("own/val").iterdir())) == 2 and not list(Path("own").rglob(f"{MARK}-*"))
    Path("own", MARK).write_text("of an older version")
    assert run("synth", "coco", "--root", "own", "--images", "1", "--size", "32x32").code == 0


def test_results_are_written_for_the_servers(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("synth", "coco", "--root", "coco", "--images", "1", "--size", "96x128")
    common = ("--model", f"{SMALL}.pose_coco_256x192", "--dataset", "coco", "--root", "coco")
    assert run("evaluate", *common, "--results", "people.json").code == 0
    assert {"image_id", "category_id", "keypoints", "score"} <= json.loads(Path("people.json").read_text())[0].keys()
    run("synth", "cityscapes", "--root", "streets", "--images", "1", "--size", "64x128")
    common = ("--model", f"{SMALL}.seg_cityscapes", "--dataset", "cityscapes", "--root", "streets")
    assert run("evaluate", *common, "--resize", "64x128", "--results", "labels", "--server").code == 0
    (path,) = Path("labels").rglob("*.png")
    with Image.open(path) as labels:
        assert labels.mode == "L" and labels.size == (128, 64)


def test_synth_refuses_pictures_beyond_memory(run, tmp_path):
    result = run("synth", "coco", "--root", str(tmp_path), "--images", "1", "--size", "999999999x999999999")
    assert (result.code, result.err.count("\n")) == (2, 1) and "give a smaller --size" in result.err


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save("photo.jpg")
    return Path("photo.jpg")


def predict(run, model, *options, says=""):
    result = run("predict", "photo.jpg", "--model", f"{SMALL}.{model}", "--out", "out", *options)
    assert (result.code, result.err) == (0, "") and says in " ".join(result.out.split())
    (line,) = Path("out/results.jsonl").read_text().splitlines()
    return json.loads(line)


@pytest.mark.parametrize(
    ("model", "list_of", "note"),
    [
        ("pose_coco_256x192", "people", "taken for one person: give --boxes FILE or --detector FILE"),
        ("landmark_wflw", "faces", "taken for one face: give --boxes FILE"),
    ],
)
def test_the_whole_picture_is_one_without_boxes_and_a_note_says_so(run, photo, model, list_of, note):
    (one,) = predict(run, model, says=f"1 of 1 images had no boxes, so the whole image was {note}")[list_of]
    assert one["box_source"] == "image" and one["box"] == [0, 0, 80, 60]


@pytest.mark.parametrize(("model", "list_of"), [("pose_coco_256x192", "people"), ("landmark_wflw", "faces")])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_boxes_come_from_a_file(run, photo, model, list_of, count):
    boxes = [[10.0, 5.0, 30.0 + i, 40.0] for i in range(count)]
    content = json.dumps({"photo.jpg": boxes, "other.jpg": [[0, 0, 1, 1]]})
    Path("boxes.json").write_text(content, encoding="utf-8-sig" if count else "utf-8")  # with a byte order mark too
    found = predict(run, model, "--boxes", "boxes.json")[list_of]
    assert [one["box"] for one in found] == boxes and all(one["box_source"] == "given" for one in found)


def test_boxes_have_scores_and_double_people_are_suppressed(run, photo):
    boxes = [[10, 5, 30, 40, 0.5], [10, 5, 30, 40, 0.75], [45, 5, 30, 50, 0.25]]
    Path("boxes.json").write_text(json.dumps({"photo.jpg": boxes}))
    row = predict(run, "pose_coco_256x192", "--boxes", "boxes.json", "--nms", "hard", "--oks-threshold", "0.99")
    assert sorted(person["box_score"] for person in row["people"]) == [0.25, 0.75]


def test_bottom_up_needs_no_boxes(run, photo):
    row = predict(run, "pose_higher_coco_512x512", "--short-side", "64", "--flip")
    assert row["people"] and {person["box_source"] for person in row["people"]} == {"keypoints"}
    about = json.loads(Path("out/run.json").read_text())
    assert (about["short_side"], about["scales"], about["flip_test"]) == (64, [1.0], True)
    with Image.open(Path("out", row["picture"])) as drawn:
        assert drawn.size == (80, 60)


def test_objects_are_named_and_drawn(run, photo):
    Path("names.txt").write_text("\n".join(f"thing {index}" for index in range(80)))
    row = predict(run, "faster_rcnn_coco", "--short-side", "64", "--threshold", "0.3", "--names", "names.txt")
    assert row["objects"] and all(found["score"] > 0.3 and found["label"][:6] == "thing " for found in row["objects"])
    about = json.loads(Path("out/run.json").read_text())
    assert (about["short_side"], about["threshold"], about["names"]) == (64, 0.3, "names.txt")
    with Image.open(Path("out", row["picture"])) as drawn:
        assert drawn.size == (80, 60)


def test_a_detector_of_other_classes_is_evaluated_by_their_names(run, tmp_path):
    write_coco(tmp_path / "coco")
    (tmp_path / "names.txt").write_text("car\ngull\nperson\n")
    argv = ("--root", tmp_path / "coco", "--outputs", "3", "--limit", "1", "--short-side", "64", "--json")
    argv = ("evaluate", "--model", f"{SMALL}.faster_rcnn_coco", "--dataset", "coco", *map(str, argv))
    notes = run(*argv, "--names", str(tmp_path / "names.txt")).json()["notes"]
    assert "1 of the 3 annotated categories are none of the network's" in notes
    assert "has none of the network's classes class 0, class 1, class 2" in run(*argv).err


def test_label_maps_are_written_beside_the_drawing(run, photo):
    row = predict(run, "seg_cityscapes", "--resize", "native")
    with Image.open(Path("out", row["labels"])) as labels:
        assert labels.mode == "P" and labels.size == (80, 60)
        counts = np.bincount(np.asarray(labels).ravel(), minlength=19)
    assert {entry["label"]: entry["pixels"] for entry in row["classes"]} == {
        label: count for label, count in enumerate(counts) if count
    }


def test_label_maps_are_written_without_drawings_too(run, photo):
    row = predict(run, "seg_cityscapes", "--resize", "native", "--no-pictures")
    assert "picture" not in row
    assert sorted(path.name for path in Path("out").iterdir()) == ["photo.jpg.labels.png", "results.jsonl", "run.json"]


def test_pictures_are_never_replaced_by_label_maps(run, photo):
    Path("photo.jpg.labels.png").write_bytes(before := photo.read_bytes())
    inputs = ("photo.jpg", "photo.jpg.labels.png", "--model", f"{SMALL}.seg_cityscapes", "--no-pictures")
    result = run("predict", *inputs, "--out", ".")
    assert (result.code, result.out) == (2, "") and result.err.count("\n") == 1
    assert "photo.jpg.labels.png lies, and the label map of photo.jpg would replace it: choose another" in result.err
    assert Path("photo.jpg.labels.png").read_bytes() == before and not Path("results.jsonl").exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "the boxes of boxes.json cannot be read: No such file"),
        ("{", "it is not JSON"),
        ("[[1, 2, 3, 4]]", "holds a list, but must hold"),
        ('{"photo.jpg": [[1, 2, 3]]}', "the boxes of 'photo.jpg' in boxes.json are not four or five numbers each"),
        ('{"photo.jpg": [["1", 2, 3, 4]]}', "are not four or five numbers each"),
        ('{"photo.jpg": [[1, 2, NaN, 4]]}', "not finite"),
        ('{"photo.jpg": [[1, 2, 0, 4]]}', "has no area"),
        ('{"other.jpg": []}', "boxes.json has no boxes for photo.jpg"),
    ],
)
def test_bad_boxes_are_told(run, photo, content, part):
    if content is not None:
        Path("boxes.json").write_text(content)
    result = run("predict", "photo.jpg", "--model", f"{SMALL}.pose_coco_256x192", "--boxes", "boxes.json")
    assert result.code in (1, 2) and part in result.err + result.out
    assert not Path("predictions/results.jsonl").exists()


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("predict", "photo.jpg", "--decode", "dark"), "--decode belongs to pose"),
        (("predict", "photo.jpg", "--oks-threshold", "0.5"), "--oks-threshold belongs to pose"),
        (("predict", "photo.jpg", "--flip"), "--flip belongs to pose and landmark and segmentation"),
        (("evaluate", "--dataset", "imagenet", "--root", ".", "--boxes", "x"), "--boxes means nothing for imagenet"),
        (("predict", "photo.jpg", "--out", "photo.jpg"), "--out photo.jpg is a file, but must be a folder"),
        (("synth", "mnist", "--root", "x"), "'mnist' cannot be written; choose one of coco, mpii"),
        (("synth", "coco"), "required: --root"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_of_another_task_are_refused(run, photo, argv, part):
    model = () if argv[0] == "synth" else ("--model", f"{SMALL}.cls_in1k")
    result = run(*argv, *model)
    assert (result.code, result.out) == (2, "") and result.err.count("\n") == 1 and part in result.err


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (
            ("predict", "photo.jpg", "--boxes", "b.json"),
            "--boxes belongs to pose and landmark, but hrnet_w18_small.pose_h",
        ),
        (("predict", "photo.jpg", "--decode", "dark"), "--decode belongs to pose, but"),
        (("predict", "photo.jpg", "--scales", "0.5,2"), "scales (0.5, 2.0) must hold 1"),
        (("predict", "photo.jpg", "--short-side", "0"), "'0' is not a whole number of at least 1"),
        (
            ("evaluate", "--dataset", "coco", "--root", "coco", "--boxes", "x"),
            "--boxes means nothing for coco with hrnet",
        ),
        (
            ("evaluate", "--dataset", "mpii", "--root", "coco"),
            "is for bottom_up, whose data sets are coco, crowdpose; 'mpii' is none",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_that_bottom_up_has_not_are_refused(run, photo, argv, part):
    run("synth", "coco", "--root", "coco", "--images", "1", "--size", "96x128")
    result = run(*argv, "--model", f"{SMALL}.pose_higher_coco_512x512")
    assert (result.code, result.out) == (2, "") and result.err.count("\n") == 1 and part in result.err


def test_evaluate_takes_no_detector(run, photo):
    common = ("--model", f"{SMALL}.pose_coco_256x192", "--dataset", "coco", "--root", "coco")
    result = run("evaluate", *common, "--detector", "torchvision")
    assert (result.code, result.out) == (2, "") and result.err.count("\n") == 1
    assert f"--detector means nothing for evaluate with {SMALL}.pose_coco_256x192" in result.err


def test_none_is_a_way_to_suppress_and_else_a_name():
    args = argparse.Namespace(model="any", detector="none", nms="none")
    assert estimator_options(args, "pose") == {"detector": "none", "nms": None}

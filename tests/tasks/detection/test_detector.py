"""Detector: pictures in, objects out, by a network of random weights; and what it refuses."""

import numpy as np
import pytest
import torch

import hrnet_fast
from hrnet_fast.models import create_model
from hrnet_fast.tasks.detection import COCO, Detection, Detector, draw, to_json
from hrnet_fast.tasks.stages import Stages
from hrnet_fast.weights import CheckpointError, save_weights, to_layout
from hrnet_fast.weights.random import fill_weights
from tests.tasks.detection.files import NAME

PICTURE = np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8)


def same(ours: list[Detection], theirs: list[Detection]) -> bool:
    return [(found.box, found.score, found.index) for found in ours] == [
        (found.box, found.score, found.index) for found in theirs
    ]


def test_objects_come_the_likeliest_first_and_lie_in_the_picture(detector):
    found = detector(PICTURE)
    assert 0 < len(found) <= 100
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True) and min(scores) > 0.05
    for each in found:
        x, y, width, height = each.box
        assert min(x, y) >= 0 and min(width, height) >= 0 and x + width < 120.01 and y + height < 90.01
        assert each.label == COCO[each.index]


@pytest.mark.parametrize("shape", [(1, 1), (2, 120), (120, 2)])
def test_small_and_narrow_pictures_have_objects_too(detector, shape):
    for each in detector(PICTURE[:1, :1].repeat(shape[0], 0).repeat(shape[1], 1)):
        x, y, width, height = each.box
        assert min(x, y) >= 0 and x + width < shape[1] + 0.01 and y + height < shape[0] + 0.01


def test_stages_are_those_of_a_two_stage_detector(detector):
    stages = Stages()
    detector(PICTURE, stages=stages)
    assert list(stages.seconds) == ["read", "prepare", "network", "regions", "classify"]


def test_options_are_kept(detector):
    every = detector(PICTURE)
    likely = [found for found in every if found.score > every[4].score]
    assert same(Detector(NAME, short_side=64, threshold=every[4].score)(PICTURE), likely)
    assert same(Detector(NAME, short_side=64, most=3)(PICTURE), every[:3])
    apart = Detector(NAME, short_side=64, iou_threshold=0.0)(PICTURE)
    assert same(apart[:1], every[:1]) and not same(apart, every)


def test_a_saved_detector_finds_the_same_in_pictures_of_any_size(detector, tmp_path):
    hrnet_fast.save(detector.network.module, tmp_path / "net.safetensors", torch.zeros(1, 3, 64, 64))
    again = Detector(str(tmp_path / "net.safetensors"), short_side=64)
    assert not again.network.random_weights
    for picture in (PICTURE, PICTURE[:40]):
        assert same(again(picture), detector(picture))


@pytest.mark.parametrize("layout", ["official", "mmdet"])
def test_checkpoints_of_both_layouts_are_loaded(detector, tmp_path, layout):
    save_weights(fill_weights(create_model(NAME)), tmp_path / "net.pth", layout=layout)
    loaded = Detector(NAME, str(tmp_path / "net.pth"), short_side=64)
    assert same(loaded(PICTURE), detector(PICTURE)) and loaded.network.loaded.layout == layout


def test_a_module_and_an_optimized_one_are_taken(detector):
    model = fill_weights(create_model(NAME))
    for given in (model, hrnet_fast.optimize(model, example=(1, 3, 64, 96))):
        assert same(Detector(given, short_side=64)(PICTURE), detector(PICTURE))


def test_half_weights_compute(detector):
    found = Detector(fill_weights(create_model(NAME)).bfloat16(), short_side=64)(PICTURE)
    assert abs(found[0].score - detector(PICTURE)[0].score) < 0.1  # bfloat16 keeps 8 bits; that it runs is the point


def test_own_classes_have_their_own_names():
    model = fill_weights(create_model("hrnet_w18_small", head="faster_rcnn", num_outputs=3))
    assert Detector(model).names == ("class 0", "class 1", "class 2")
    named = Detector(model, names=["ship", "buoy", "gull"], short_side=64, threshold=0.0)
    assert {found.label for found in named(PICTURE)} <= {"ship", "buoy", "gull"}
    assert Detector(model, names=["ship", "", "gull"]).names == ("ship", "class 1", "gull")
    with pytest.raises(ValueError, match="there are 2 class names, but hrnet_w18_small.faster_rcnn has 3 classes"):
        Detector(model, names=["ship", "buoy"])


def test_boxes_of_a_class_serve_the_pose_estimator(detector):
    found = detector(PICTURE)
    label = found[0].label
    boxes = detector.boxes_of(label, threshold=0.0)(torch.from_numpy(PICTURE))
    rows = [(*each.box, each.score) for each in found if each.label == label]
    assert boxes.tolist() == [list(row) for row in rows] and boxes.dtype == torch.float64
    pose = hrnet_fast.PoseEstimator("hrnet_w18_small.pose_coco_256x192", detector=detector.boxes_of(label, 0.0))
    people = pose(PICTURE)
    assert people and {person.box_source for person in people} == {"detector"}
    with pytest.raises(ValueError, match=r"there is no class 'dragon': the classes are person, bicycle"):
        detector.boxes_of("dragon")


@pytest.mark.parametrize(
    ("model", "error", "sentence"),
    [
        ("hrnet_w18_small.det_coco", ValueError, "'detection', which no task reads; detection takes models with"),
        ("hrnet_w18_small.pose_coco_256x192", ValueError, "which belongs to pose"),
        (torch.nn.Conv2d(3, 4, 3), ValueError, "Conv2d is of another code base, and detection needs the parts of"),
    ],
)  # fmt: skip
def test_other_networks_are_refused(model, error, sentence):
    with pytest.raises(error, match=sentence):
        Detector(model)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"short_side": 0}, "short_side is 0; it must be a whole number of at least 1"),
        ({"most": 2.5}, "most is 2.5; it must be a whole number"),
        ({"threshold": 1.5}, "threshold is 1.5; it must be a number from 0 to 1"),
        ({"iou_threshold": float("nan")}, "iou_threshold is nan; it must be a number from 0 to 1"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Detector(NAME, **options)


def test_a_checkpoint_without_the_detector_is_refused(tmp_path):
    save_weights(fill_weights(create_model("hrnet_w18_small.det_coco")), tmp_path / "pyramid.pth")
    with pytest.raises(CheckpointError, match="pyramid.pth has no weights for 14 tensors of .*another task"):
        Detector(NAME, str(tmp_path / "pyramid.pth"))


@pytest.mark.parametrize("prefix", ["bbox_head", "roi_head.bbox_head.0"], ids=["an older mmdetection", "a cascade"])
def test_a_checkpoint_of_another_detector_is_told_apart(prefix):
    pyramid = fill_weights(create_model("hrnet_w18_small.det_coco"))
    state = dict(to_layout(pyramid.state_dict(), "mmdet", pyramid.config))
    state |= {f"{prefix}.fc_cls.weight": torch.zeros(81, 1024), "rpn_head.rpn_conv.bias": torch.zeros(256)}
    with pytest.raises(
        CheckpointError, match=f"is of another detector than {NAME}: Faster R-CNN as mmdetection 2 and 3"
    ):
        Detector(NAME, state)


def test_a_detectors_checkpoint_is_of_another_task_than_pose():
    detector = fill_weights(create_model(NAME))
    with pytest.raises(CheckpointError, match="it is a checkpoint of another task, so its results would mean nothing"):
        hrnet_fast.PoseEstimator("hrnet_w18_small.pose_coco_256x192", detector.state_dict())


def test_json_holds_numbers_and_names(detector):
    (first, *_) = to_json(detector(PICTURE))["objects"]
    assert set(first) == {"box", "score", "index", "label"} and len(first["box"]) == 4


def test_a_drawing_shows_what_is_likely_enough():
    grey = np.full((120, 160, 3), 128, np.uint8)
    likely, unlikely = Detection((20, 40, 60, 50), 0.9, 2, "car"), Detection((90, 40, 60, 50), 0.1, 0, "person")
    drawn = np.asarray(draw(grey, [likely, unlikely]))
    assert drawn.shape == grey.shape
    changed = (drawn != 128).any(2)
    assert changed[40:90, 20].all() and changed[89, 20:80].all() and not changed[:, 85:].any()
    assert not (np.asarray(draw(grey, [unlikely])) != 128).any()
    assert (np.asarray(draw(grey, [unlikely], threshold=0.0)) != 128).any()
    draw(grey, [Detection((-5, -5, 500, 500), 1.0, 7, "truck"), Detection((159, 119, 0.01, 0.01), 1.0, 7, "x" * 99)])


def test_a_box_head_that_gives_nan_is_named():
    model = fill_weights(create_model(NAME))
    model.bbox_head.fc_cls.weight.data[3, 5] = torch.nan
    with pytest.raises(RuntimeError, match=f"{NAME} gave NaN or infinite values: check the weights of its box head"):
        Detector(model, short_side=64)(PICTURE)

"""PoseEstimator: geometry from end to end with networks whose answer is known, batches, boxes, bad input."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrnet_fast import optimize
from hrnet_fast.tasks.pose import PoseEstimator, draw, to_json
from hrnet_fast.tasks.pose.skeletons import COCO
from hrnet_fast.tasks.stages import Stages
from tests.networks import tiny_net

NAME = "hrnet_w18_small.pose_coco_256x192"


@pytest.fixture(scope="module")
def estimator():
    return PoseEstimator(NAME)


@pytest.fixture(scope="module")
def in_float64():
    """Where what the size of a batch changes is lost in float32's rounding of the maps."""
    return optimize(tiny_net("pose_coco_256x192", input_size=(128, 96)), dtype=torch.float64)


class Seer:
    """A network that sees bright spots: all its heatmaps are the crop's brightness, sampled where heatmaps lie."""

    input_size, device, name, num_outputs, random_weights = (256, 192), torch.device("cpu"), "seer", 17, False

    def __init__(self, udp):
        self.udp, self.batches = udp, []

    def __call__(self, images):
        self.batches.append(len(images))
        brightness = (images[:, :1] - images[:, :1].amin()) / 4.5
        if self.udp:
            maps = F.interpolate(brightness, (64, 48), mode="bilinear", align_corners=True)
        else:
            maps = brightness[..., ::4, ::4]
        return maps.expand(-1, 17, -1, -1)


def seeing(method="quarter", **options):
    estimator = PoseEstimator(NAME, decode=method, **options)
    estimator.network = Seer(method == "udp")
    return estimator


def spot(x, y, height=240, width=320, sigma=6.0):
    """A picture with one bright spot."""
    rows, columns = np.mgrid[:height, :width]
    level = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(level.round().astype(np.uint8)[..., None], 3, axis=2)


BOXES = {
    "whole-crop": (40.0, 20.0, 120.0, 160.0),
    "wide": (20.0, 60.0, 200.0, 60.0),
    "past-the-border": (-60.0, 30.0, 150.0, 200.0),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("flip_test", [True, False], ids=["flip", "once"])
@pytest.mark.parametrize("method", ["quarter", "dark", "udp"])
def test_a_spot_is_found_where_it_is(method, flip_test, box):
    x, y = box[0] + 0.61 * box[2], box[1] + 0.43 * box[3]
    person = seeing(method, flip_test=flip_test)(spot(x, y), [box])[0]
    error = (person.keypoints.double() - torch.tensor([x, y])).abs()
    pixel = max(box[2], box[3] * 0.75) * 1.25 / 48  # of a heatmap, in the picture
    # the quarter offset leaves up to a quarter pixel, and the official flip test up to an eighth of misalignment
    limit = {"quarter": 0.4, "dark": 0.2, "udp": 0.05}[method]
    assert error.max() < limit * pixel
    assert person.scores.min() > 0.8


@pytest.mark.parametrize("method", ["quarter", "dark"])
def test_the_shift_aligns_the_mirrored_heatmaps(method):
    shifted, still = (seeing(method, shift=shift)(spot(140, 90), [BOXES["wide"]])[0] for shift in (True, False))
    assert abs(shifted.keypoints[0, 0] - 140) < abs(still.keypoints[0, 0] - 140)


def test_results_are_what_they_say(estimator):
    picture = spot(100, 100)
    people = estimator(picture, [(10, 20, 100, 150, 0.5), (50, 20, 100, 150, 1.0)])
    assert [person.box for person in people] == [(10, 20, 100, 150), (50, 20, 100, 150)]
    for person, box_score in zip(people, (0.5, 1.0)):
        scores = person.scores
        assert (person.box_source, person.box_score, person.skeleton) == ("given", box_score, COCO)
        assert person.keypoints.shape == (17, 2) and person.keypoints.dtype == torch.float32
        assert person.score == pytest.approx(float(scores[scores > 0.2].double().mean()) * box_score)
    encoded = to_json(people)["people"][0]
    assert encoded["keypoints"][3] == [*people[0].keypoints[3].tolist(), people[0].scores[3].item()]
    assert encoded["box"] == [10, 20, 100, 150] and encoded["skeleton"] == "coco"


def test_without_boxes_the_picture_is_one_person_and_says_so(estimator):
    (person,) = estimator(spot(100, 100))
    assert person.box == (0, 0, 320, 240) and person.box_source == "image"


def test_a_detector_is_asked_where_no_boxes_are_given():
    asked = []

    def detector(picture):
        asked.append(tuple(picture.shape))
        nowhere = [[10.0, 10, 0, 90, 0.75], [10, 10, torch.nan, 90, 0.75], [-50, 10, 50, 90, 0.75]]
        return torch.tensor([[10.0, 10, 50, 90, 0.75], *nowhere, [60, 10, 50, 90, 0.5]])

    estimator = PoseEstimator(NAME, detector=detector)
    people = estimator(spot(100, 100))
    assert [(p.box_source, p.box_score) for p in people] == [("detector", 0.75), ("detector", 0.5)]
    assert people != estimator(spot(100, 100)), "people hold tensors, so they are compared by identity"
    assert estimator(spot(100, 100), [(1, 2, 30, 40)])[0].box_source == "given"
    assert asked == [(240, 320, 3)] * 2


def test_no_boxes_give_no_people(estimator):
    assert estimator(spot(9, 9), []) == []
    assert estimator.batch([]) == []


def test_batches_over_people_and_pictures_equal_one_at_a_time(in_float64):
    pictures = [spot(50, 60), spot(90, 30, 100, 130), spot(10, 10), spot(70, 80, 90, 400)]
    generator = np.random.default_rng(0)
    boxes = [generator.uniform(5, 80, (count, 4)) for count in (3, 0, 18, 1)]
    one = PoseEstimator(in_float64, batch_size=1)
    many = PoseEstimator(in_float64).batch(pictures, boxes)
    assert [len(people) for people in many] == [3, 0, 18, 1]
    for people, picture, rows in zip(many, pictures, boxes):
        for person, other in zip(people, one(picture, rows)):
            assert torch.equal(person.scores, other.scores) and torch.equal(person.keypoints, other.keypoints)


def test_people_of_several_pictures_share_a_batch():
    estimator = seeing(batch_size=4)
    boxes = [[(10, 10, 50, 60)] * count for count in (1, 2, 0, 6, 1)]
    people = estimator.batch([spot(40, 40)] * 5, boxes)
    assert [len(found) for found in people] == [1, 2, 0, 6, 1]
    assert estimator.network.batches == [8, 8, 4]  # twice the people: with their mirror images


def test_pictures_stream_through():
    read = []

    def pictures():
        for i in range(6):
            read.append(i)
            yield spot(40, 40)

    stream = seeing(batch_size=2).stream(pictures(), ([(10, 10, 50, 60)] for _ in range(6)))
    next(stream)
    assert len(read) <= 3


def test_double_people_are_suppressed_if_asked():
    boxes = [(40, 20, 120, 160, 0.5), (41, 20, 120, 160, 0.75), (180, 20, 120, 160, 0.25)]
    people = seeing(nms="hard")(spot(110, 90), boxes)
    assert [person.box_score for person in people] == [0.75, 0.25]


def test_people_are_as_large_as_what_was_cut_out_of_the_picture():
    estimator, seen = seeing(nms="hard"), []
    estimator.nms = lambda points, scores, areas, *rest: seen.append(areas.tolist()) or torch.arange(len(points))
    estimator(spot(110, 90), [(40, 20, 120, 160), (20, 60, 240, 60)])
    assert seen == [pytest.approx([1.25**2 * 120 * 160, 1.25**2 * 240 * 320])]


@pytest.mark.parametrize(("name", "blur"), [(NAME, 11), ("hrnet_w18_small.pose_coco_384x288", 17)])
def test_larger_networks_have_wider_peaks(name, blur):
    assert PoseEstimator(name, executor="reference").blur == blur


def test_the_clock_knows_the_stages(estimator):
    stages = Stages()
    estimator(spot(9, 9), [(1, 1, 50, 50)], stages=stages)
    assert list(stages.seconds) == ["read", "crop", "network", "decode"]
    assert all(seconds > 0 for seconds in stages.seconds.values())


@pytest.mark.parametrize(
    "rows",
    [[(1, 1, 0, 5)], [(1, 1, float("nan"), 5)], [1, 2, 3, 4], [(5000, 5000, 50, 80)]],
    ids=["area", "nan", "shape", "outside"],
)
def test_bad_boxes_are_refused(estimator, rows):
    with pytest.raises(ValueError, match=r"^box"):
        estimator(spot(9, 9), rows)


@pytest.mark.parametrize(("count", "which"), [(1, "fewer"), (3, "more")])
def test_boxes_must_be_for_each_picture(estimator, count, which):
    with pytest.raises(ValueError, match=f"there are {which} lists of boxes than pictures"):
        estimator.batch([spot(9, 9)] * 2, [[(1, 1, 50, 50)]] * count)


BAD = {
    "decode": ({"decode": "soft"}, "decode 'soft' is not known; choose one of quarter, dark, udp"),
    "blur": (
        {"decode": "dark", "blur": 9},
        "the blur kernel is 9; an odd number from 11 is needed (11 for sigma 2, 17 for 3)",
    ),
    "batch": ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
    "detector": (
        {"detector": "yolo"},
        "detector 'yolo' is neither 'torchvision' nor a function from a picture to boxes",
    ),
}


@pytest.mark.parametrize(("options", "sentence"), BAD.values(), ids=BAD)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError) as caught:
        PoseEstimator(NAME, **options)
    assert str(caught.value) == sentence


def test_mpii_has_no_oks():
    with pytest.raises(ValueError, match="nms needs the sigmas of OKS, which the skeleton 'mpii' has not"):
        PoseEstimator("hrnet_w18_small.pose_mpii_256x256", nms="hard")


def test_skeletons_are_drawn_where_they_are(estimator):
    picture = np.zeros((240, 320, 3), np.uint8)
    (person,) = seeing(flip_test=False)(spot(150, 120), [BOXES["wide"]])
    drawn = np.asarray(draw(picture, [person]))
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8
    lit = np.argwhere(drawn.max(2) > 60)
    assert len(lit) and np.abs(lit.mean(0) - [120, 150]).max() < 3 and np.ptp(lit, axis=0).max() < 20
    assert not np.asarray(draw(picture, [person], threshold=2.0)).any()
    assert (np.asarray(draw(picture, [])) == picture).all()

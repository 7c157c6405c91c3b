"""LandmarkEstimator, its JSON and its drawing, with a small network and with one that sees bright spots."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from hrnet_fast import create_model, optimize
from hrnet_fast.synthetic import face_scene
from hrnet_fast.tasks import landmark
from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.landmark import Face, LandmarkEstimator, draw, to_json
from hrnet_fast.tasks.landmark.boxes import box_of_points, square_of
from hrnet_fast.tasks.landmark.crop import crop_faces
from hrnet_fast.tasks.landmark.decode import decode
from hrnet_fast.tasks.stages import Stages
from hrnet_fast.weights.random import fill_weights
from tests.networks import tiny_net

BOXES = [[20, 10, 60, 70], [-10, 30.5, 55, 41], [90, 60, 50, 50]]


@pytest.fixture(scope="module")
def model():
    """In float64, where what the size of a batch changes is lost in float32's rounding of the maps."""
    return optimize(tiny_net("landmark_cofw", input_size=(64, 64)), dtype=torch.float64)


@pytest.fixture(scope="module")
def estimator(model):
    return LandmarkEstimator(model)


@pytest.fixture(scope="module")
def picture():
    return face_scene(3, (96, 128))[0]


def assert_same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b):
        assert (one.box, one.box_source) == (other.box, other.box_source)
        assert torch.equal(one.points, other.points) and torch.equal(one.scores, other.scores)


def test_exports_the_uniform_names():
    assert landmark.Estimator is LandmarkEstimator


@pytest.mark.parametrize("protocol", ["official", "affine", "mmpose"])
@pytest.mark.parametrize("flip_test", [False, True], ids=["plain", "flip"])
def test_equals_the_steps_by_hand(model, picture, protocol, flip_test):
    estimator = LandmarkEstimator(model, protocol=protocol, flip_test=flip_test)
    faces = estimator(picture, BOXES)
    squares = [square_of(box) for box in BOXES]
    crops = crop_faces(torch.from_numpy(picture), squares, 64, estimator.protocol)
    plain = tiny_net("landmark_cofw", input_size=(64, 64)).double().eval()
    with torch.no_grad():
        maps = plain(crops.double()).float()
        mirrored = plain(crops.flip(3).double()).float() if flip_test else None
    points, scores = decode(maps, squares, estimator.protocol, mirrored, estimator.swap)
    for face, at, score, box in zip(faces, points.float(), scores, BOXES, strict=True):
        assert torch.equal(face.scores, score) and torch.equal(face.points, at)
        assert (face.box, face.box_source) == (tuple(map(float, box)), "given")


def test_pictures_and_faces_share_batches(model, estimator, picture):
    small = LandmarkEstimator(model, batch_size=2)
    images, boxes = [picture, picture[:50, :60], picture], [BOXES, [], BOXES[1:2]]
    batch = small.batch(images, boxes)
    assert [len(faces) for faces in batch] == [3, 0, 1]
    assert_same(batch[0], estimator(picture, BOXES))
    assert_same(batch[2], estimator(picture, BOXES[1:2]))


def test_pictures_stream_through(model, estimator, picture):
    read = []

    def pictures():
        for i in range(6):
            read.append(i)
            yield picture

    stream = LandmarkEstimator(model, batch_size=4).stream(pictures(), (BOXES for _ in range(6)))
    assert_same(next(stream), estimator(picture, BOXES))
    assert len(read) == 2 and len(list(stream)) == 5


def test_without_boxes_the_picture_is_one_face(estimator, picture):
    faces = estimator(Image.fromarray(picture))
    assert [(face.box, face.box_source) for face in faces] == [((0.0, 0.0, 128.0, 96.0), "image")]
    assert_same(estimator.batch([picture])[0], faces)
    assert estimator.batch([]) == []


def test_no_faces(estimator, picture):
    assert estimator(picture, []) == []
    assert estimator(picture, np.zeros((0, 4))) == []


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[200, 10, 5, 5]], "box 0, .* lies outside the picture of 128 x 96 pixels"),
        ([[2, 1, 9, 0]], "box 0, .* has no area"),
        ([[float("nan"), 1, 9, 9]], "box 0, .* not finite"),
    ],
    ids=["outside", "no-area", "nan"],
)
def test_impossible_boxes(estimator, picture, boxes, words):
    with pytest.raises(ValueError, match=words):
        estimator(picture, boxes)


def test_boxes_may_have_scores(estimator, picture):
    faces = estimator(picture, [[*box, 0.25 * i] for i, box in enumerate(BOXES)])
    assert [face.box_score for face in faces] == [0, 0.25, 0.5]
    assert_same(faces, estimator(picture, BOXES))


@pytest.mark.parametrize(("count", "which"), [(1, "fewer"), (3, "more")])
def test_boxes_for_each_picture(estimator, picture, count, which):
    with pytest.raises(ValueError, match=f"there are {which} lists of boxes than pictures"):
        estimator.batch([picture, picture], [BOXES] * count)


def test_an_unreadable_picture_is_named(estimator, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(ImageError, match=r"torn\.jpg"):
        estimator(tmp_path / "torn.jpg")


def test_options_that_cannot_be(model):
    with pytest.raises(ValueError, match="protocol='dlib' is not known"):
        LandmarkEstimator(model, protocol="dlib")
    with pytest.raises(ValueError, match="batch_size is 0"):
        LandmarkEstimator(model, batch_size=0)
    seven = fill_weights(create_model("hrnet_w18_small", head="landmark", num_outputs=7))
    with pytest.raises(ValueError, match="no landmark scheme has 7 points"):
        LandmarkEstimator(seven, flip_test=True)
    assert LandmarkEstimator(seven)(np.zeros((9, 9, 3), np.uint8))[0].scheme is None


def test_stages(estimator, picture):
    stages = Stages()
    estimator(picture, BOXES, stages=stages)
    assert set(stages.seconds) == {"read", "crop", "network", "decode"}


class Spots:
    """A network whose every heatmap is the crop's brightness, at a quarter of its size."""

    input_size, num_outputs, name, device, random_weights = (256, 256), 19, "spots", torch.device("cpu"), False

    def __call__(self, images):
        return F.avg_pool2d(images.mean(1, keepdim=True) + 3, 4).expand(-1, 19, -1, -1)


@pytest.mark.parametrize(
    ("protocol", "allowed"), [("official", 1.0), ("affine", 1.0), ("mmpose", 1.0)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("flip_test", [False, True], ids=["plain", "flip"])
def test_finds_spots_in_pixels_of_the_picture(model, protocol, allowed, flip_test):
    """To a heatmap pixel: the side of the square is 1.25 times the box, and 64 such pixels."""
    estimator = LandmarkEstimator(
        fill_weights(create_model("hrnet_w18_small.landmark_aflw")), protocol=protocol, flip_test=flip_test
    )
    estimator.network = Spots()
    yy, xx = np.mgrid[0:150, 0:200]
    for x, y in ((100.0, 75.0), (61.3, 40.8), (133.9, 110.2)):
        spot = 20 + 235 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 60)
        face = estimator(np.repeat(spot[..., None], 3, 2).astype(np.uint8), [[50, 25, 100, 100]])[0]
        assert (face.points - torch.tensor([x, y])).abs().max() < allowed * 125 / 64


def test_json_is_json(estimator, picture):
    data = json.loads(json.dumps(to_json(estimator(picture, BOXES))))
    assert len(data["faces"]) == 3
    face = data["faces"][1]
    assert (face["box"], face["box_source"], face["scheme"]) == ([-10.0, 30.5, 55.0, 41.0], "given", "COFW")
    assert np.shape(face["points"]) == (29, 3)
    assert to_json([]) == {"faces": []}


@pytest.mark.parametrize("count", [98, 68, 29, 19, 5], ids=lambda count: f"{count}-points")
def test_drawing_marks_the_points_and_little_else(count):
    picture, truth = face_scene(1, (120, 160))
    points = torch.from_numpy(truth.points(count) if count > 5 else truth.points(98)[:5]).float()
    face = Face(points, torch.ones(len(points)), box_of_points(points.double()))
    drawn = np.asarray(draw(picture, [face], boxes=True)).astype(int)
    assert drawn.shape == picture.shape
    changed = np.abs(drawn - picture).max(2) > 24
    for x, y in points.round().long().tolist():
        assert changed[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any()
    assert changed.mean() < 0.2
    low, high = points.amin(0).long() - 9, points.amax(0).long() + 9
    changed[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = False
    assert not changed.any()


def test_drawing_takes_little_memory_and_no_time_for_what_is_outside(monkeypatch):
    """A piece of a large face has at most 16 million pixels; a side of 4e9 pixels would take minutes."""
    made, new = [], Image.new
    monkeypatch.setattr(Image, "new", lambda mode, size: made.append(size) or new(mode, size))
    large = Face(torch.rand(68, 2) * 3000, torch.ones(68), (-2e9, -9.0, 4e9, 3e9))
    drawn = np.asarray(draw(np.zeros((3000, 3000, 3), np.uint8), [large], boxes=True))
    assert drawn.any() and set(made) == {(3000, 3000)}


def test_drawing_leaves_out_what_is_not_in_the_picture():
    picture = np.zeros((20, 30, 3), np.uint8)
    far = Face(torch.full((29, 2), 900.0), torch.ones(29), (880.0, 880.0, 40.0, 40.0))
    broken = Face(torch.full((29, 2), float("nan")), torch.ones(29), (1.0, 1.0, 4.0, 4.0))
    assert not np.asarray(draw(picture, [far, broken])).any()

"""What is said of a face is true of the picture."""

import cv2
import numpy as np
import pytest

from hrnet_fast.synthetic import ATTRIBUTES, face_scene
from hrnet_fast.synthetic.face_shape import SCHEMES, FaceShape, landmarks
from hrnet_fast.tasks.landmark import SCHEMES as READERS_SCHEMES
from tests.exact import assert_exact

PLAIN = dict.fromkeys((name.replace("-", "_") for name in ATTRIBUTES), False)
SIZE = (181, 203)


@pytest.mark.parametrize("count", sorted(SCHEMES))
def test_the_points_mirror_each_other_as_the_data_sets_say(count):
    schemes = {scheme.points: scheme for scheme in READERS_SCHEMES.values()}
    points = landmarks(FaceShape())[list(SCHEMES[count])]
    mirrored = points[schemes[count].swap] * (-1, 1, 1)
    assert len(points) == count
    assert_exact(points, mirrored)


@pytest.mark.parametrize("count", [68, 29, 19])
def test_schemes_share_their_points(count):
    _, face = face_scene(2, SIZE)
    every = {tuple(point) for point in face.landmarks}
    assert all(tuple(point) in every for point in face.points(count))
    assert len({tuple(point) for point in face.points(count)}) == count
    assert face.occluded(count).shape == (count,)


def test_an_unknown_scheme_is_one_sentence():
    _, face = face_scene(0, SIZE)
    with pytest.raises(ValueError, match="there is no scheme of 21 points"):
        face.points(21)


def test_an_unknown_attribute_is_one_sentence():
    with pytest.raises(ValueError, match="a face has no attribute 'beard'"):
        face_scene(0, SIZE, beard=True)


@pytest.mark.parametrize("seed", range(8))
def test_points_lie_where_they_are_drawn(seed):
    """The pupils are darker than the white beside them, and the lips redder than the chin."""
    picture, face = face_scene(seed, (320, 320), **PLAIN)
    image = picture.astype(float)

    def colour(point):
        x, y = np.rint(point).astype(int)
        return image[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))

    for pupil, corners in ((96, (60, 64)), (97, (68, 72))):
        white = face.landmarks[list(corners)].mean(axis=0) * 0.3 + face.landmarks[corners[0]] * 0.7
        assert colour(face.landmarks[pupil]).mean() < colour(white).mean()
    lip = colour((face.landmarks[85] + face.landmarks[94]) / 2)
    skin = colour((face.landmarks[85] + face.landmarks[16]) / 2)
    assert lip[0] / lip[1] > skin[0] / skin[1]
    assert not face.hidden[[54, 76, 82, 96, 97]].any()


@pytest.mark.parametrize("seed", range(6))
def test_attributes_change_the_picture_as_they_say(seed):
    plain, face = face_scene(seed, SIZE, **PLAIN)
    assert not any(face.attributes.values())
    sharp = cv2.Laplacian(cv2.cvtColor(plain, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
    blurred, _ = face_scene(seed, SIZE, **PLAIN | {"blur": True})
    assert cv2.Laplacian(cv2.cvtColor(blurred, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() < 0.5 * sharp
    lit, same = face_scene(seed, SIZE, **PLAIN | {"illumination": True})
    assert abs(lit.mean() - plain.mean()) > 20
    np.testing.assert_array_equal(same.landmarks, face.landmarks)
    painted, _ = face_scene(seed, SIZE, **PLAIN | {"make_up": True})
    x, y = np.rint((face.landmarks[85] + face.landmarks[94]) / 2).astype(int)
    assert painted[y, x, 0] / painted[y, x, 1] > plain[y, x, 0] / plain[y, x, 1]
    _, covered = face_scene(seed, SIZE, **PLAIN | {"occlusion": True})
    assert covered.hidden.sum() > face.hidden.sum()
    _, turned = face_scene(seed, SIZE, **PLAIN | {"pose": True})
    assert abs(turned.yaw) > 25 > abs(face.yaw)
    _, grimace = face_scene(seed, SIZE, **PLAIN | {"expression": True})
    assert np.abs(grimace.landmarks - face.landmarks)[60:96].max() > 1.0


def test_boxes_enclose_the_landmarks_which_are_finite_and_apart():
    for seed in range(20):
        _, face = face_scene(seed, SIZE)
        left, top, right, bottom = face.box
        assert np.isfinite(face.landmarks).all()
        assert (face.landmarks >= (left, top)).all()
        assert (face.landmarks <= (right, bottom)).all()
        assert right - left > 20
        assert bottom - top > 20

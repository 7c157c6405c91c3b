"""Crops against the official code's, and against OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.tasks.landmark.boxes import Square, box_of_center, box_of_points, square_of
from hrnet_fast.tasks.landmark.crop import crop_faces, crop_matrices, official_crop
from hrnet_fast.tasks.landmark.protocol import PROTOCOLS, protocol_of

from .official import crop

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
# (picture's height and width, centre, box side / 200): inside, at each border, larger than the picture, tiny, huge.
FACES = {
    "inside": ((190, 240), (120.5, 90.0), 0.455),
    "whole-pixels": ((190, 240), (128.0, 96.0), 0.512),
    "upper-left": ((90, 120), (10.0, 4.5), 0.31),
    "lower-right": ((90, 120), (118.0, 85.5), 0.4),
    "around-the-picture": ((60, 47), (23.0, 31.5), 0.9),
    "tiny": ((50, 60), (30.2, 24.7), 0.05),
    "twice": ((400, 300), (150.0, 200.0), 2.048),
    "huge": ((700, 500), (260.3, 300.9), 2.6),
}


def picture(height, width, low=0, high=256):
    rng = np.random.default_rng(height * width)
    coarse = rng.integers(low, high, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("levels", [(0, 256), (40, 190)], ids=["full-range", "narrow-range"])
def test_official_crop_to_one_grey_level(face, levels):
    (height, width), center, scale = FACES[face]
    pixels = picture(height, width, *levels)
    square = square_of(box_of_center(*center, scale))
    assert square.side == pytest.approx(200 * 1.25 * scale)
    ours = official_crop(torch.from_numpy(pixels), square, 256).numpy().astype(float)
    assert np.abs(ours - crop(pixels, center, scale * 1.25, 256)).max() <= 1


@pytest.mark.parametrize("protocol", ["affine", "mmpose"])
@pytest.mark.parametrize("face", FACES)
def test_affine_crop_to_one_grey_level_of_opencv(face, protocol):
    (height, width), center, scale = FACES[face]
    pixels = picture(height, width)
    square = square_of(box_of_center(*center, scale))
    side = 250 * scale
    to = np.float32([[128, 128], [128, 0], [0, 0]]) + PROTOCOLS[protocol].shift
    x, y = center
    matrix = cv2.getAffineTransform(np.float32([[x, y], [x, y - side / 2], [x - side / 2, y - side / 2]]), to)
    ours = crop_matrices([square], 256, PROTOCOLS[protocol].shift)[0].numpy()
    np.testing.assert_allclose(ours, matrix, atol=1e-3)  # the points that OpenCV takes are float32
    want = cv2.warpAffine(pixels, crop_matrices([square], 256, PROTOCOLS[protocol].shift)[0].numpy(), (256, 256))
    ours = crop_faces(torch.from_numpy(pixels), [square], 256, PROTOCOLS[protocol])[0].permute(1, 2, 0).numpy()
    assert np.abs((ours * STD + MEAN) * 255 - want).max() <= 1.001


def test_the_affine_crop_puts_faces_where_the_official_one_does():
    """On average over positions, to a fifth of a pixel of the crop."""
    yy, xx = np.mgrid[0:220, 0:260]
    moved = []
    for k in range(24):
        center, scale = (110 + 1.37 * k % 17, 100 + 0.71 * k), 0.4 + 0.013 * k
        blob = 255 * np.exp(-((xx - center[0]) ** 2 + (yy - center[1]) ** 2) / 200)
        image = torch.from_numpy(np.repeat(blob[..., None], 3, 2).astype(np.uint8))
        square = square_of(box_of_center(*center, scale))
        official = official_crop(image, square, 256)[..., 0].double()
        affine = crop_faces(image, [square], 256, PROTOCOLS["affine"])[0, 0].double() * STD[0] + MEAN[0]
        at = [[(m * torch.arange(256)).sum() / m.sum() for m in (x.sum(0), x.sum(1))] for x in (official, affine)]
        moved.append([float(a - b) for a, b in zip(*at)])
    assert np.abs(np.mean(moved, axis=0)).max() < 0.2


def test_a_batch_normalises_each_face():
    pixels = torch.from_numpy(picture(90, 120))
    squares = [Square(40, 30, 55.5), Square(80, 60, 20)]
    batch = crop_faces(pixels, squares, 64, PROTOCOLS["official"])
    assert batch.shape == (2, 3, 64, 64)
    for ours, square in zip(batch, squares):
        crop = official_crop(pixels, square, 64).numpy()
        exact, plain = ((crop / kind(255) - MEAN.astype(kind)) / STD.astype(kind) for kind in (np.float64, np.float32))
        assert within_tolerance(relative_l2(ours.permute(1, 2, 0), exact), relative_l2(plain, exact))


@pytest.mark.parametrize("side", [0.01, 0.4, 1.0, 1e9], ids=str)
def test_boxes_of_extreme_sizes(side):
    pixels = torch.from_numpy(picture(40, 50))
    assert official_crop(pixels, Square(20.3, 10.7, side), 32).shape == (32, 32, 3)


def test_a_flat_picture_has_nothing_to_stretch():
    grey = torch.full((50, 50, 3), 77, dtype=torch.uint8)
    assert not official_crop(grey, Square(25, 25, 20), 32).any()
    assert not crop(grey.numpy(), (25, 25), 0.1, 32).any()


def test_boxes_of_points_are_whole_pixels():
    points = torch.tensor([[440.696, 132.7], [524.6, 122.17], [487.1, 206.4]])
    assert box_of_points(points) == (440.0, 122.0, 85.0, 85.0)
    assert square_of(box_of_points(points)) == Square(482.5, 164.5, 106.25)


def test_an_unknown_protocol():
    with pytest.raises(ValueError, match="protocol='dlib' is not known; choose one of official, affine, mmpose"):
        protocol_of("dlib")

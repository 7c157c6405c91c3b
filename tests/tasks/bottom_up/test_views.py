"""What the network sees: sizes that were counted by the official code, OpenCV's pixels, scales that go together."""

import cv2
import numpy as np
import pytest
import torch

from hrnet_fast.kernels import affine_crop
from hrnet_fast.tasks.bottom_up.views import checked_scales, region, view_size
from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.pose.affine import crop_matrices, to_picture
from tests.exact import assert_exact
from tests.tasks.pose import official

# picture, short side, scales -> what get_multi_scale_size gives at each of them and at 1, (height, width)
SIZES = [
    ((480, 640), 512, (1,), [(512, 704)]),
    ((640, 427), 512, (1,), [(768, 512)]),
    ((333, 500), 640, (1,), [(640, 960)]),
    ((512, 512), 512, (1,), [(512, 512)]),
    ((1, 1), 512, (1,), [(512, 512)]),
    ((17, 1000), 512, (1,), [(512, 30144)]),
    ((480, 640), 512, (0.5, 1, 2), [(1024, 1536), (512, 768), (256, 384)]),
    ((427, 640), 640, (0.5, 1, 2), [(1280, 2048), (640, 1024), (320, 512)]),
    ((500, 333), 512, (1, 1.5), [(1152, 768), (768, 512)]),
    ((480, 640), 500, (1,), [(512, 704)]),
    ((480, 641), 512, (0.5,), [(512, 768), (256, 384)]),
]


@pytest.mark.parametrize(("picture", "short", "scales", "sizes"), SIZES)
def test_sizes(picture, short, scales, sizes):
    looked_at = sorted({*scales, 1}, reverse=True)
    assert [view_size(*picture, short, scale, min(scales)) for scale in looked_at] == sizes


@pytest.mark.parametrize("picture", [(48, 64), (65, 43), (37, 37), (101, 30), (3, 5), (1, 1), (1, 90)], ids=str)
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_a_view_has_opencvs_pixels(picture, scale):
    height, width = picture
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    size = view_size(height, width, 128, scale, 0.5)
    seen = region(height, width, size)
    matrices = crop_matrices(seen, size)
    got = affine_crop(torch.from_numpy(pixels), matrices, size, (0, 0, 0), (1, 1, 1))[0] * 255
    center = np.array([int(width / 2 + 0.5), int(height / 2 + 0.5)])
    short = min(picture) / min(size)  # of the picture's pixels to one of the view's
    matrix = official.affine(center, np.array([size[1], size[0]]) * short / 200, size[::-1])
    assert_exact(matrices[0].numpy(), matrix)
    expected = cv2.warpAffine(pixels, matrix, size[::-1], flags=cv2.INTER_LINEAR)
    assert np.abs(got.permute(1, 2, 0).numpy() - expected).max() <= 1.001


def test_points_come_back_where_they_were():
    size = view_size(61, 83, 128, 1, 1)
    seen = region(61, 83, size)
    matrix = crop_matrices(seen, size)[0]
    points = torch.tensor([[0.0, 0.0], [82.0, 60.0], [17.25, 40.5]], dtype=torch.float64)
    inside = points @ matrix[:, :2].T + matrix[:, 2]
    half = (size[0] // 2, size[1] // 2)  # maps of half the size
    assert_exact(to_picture(inside[None] / 2, seen, half)[0], points)


def test_scales_are_sorted():
    assert checked_scales((0.5, 1, 2)) == (2, 1, 0.5) and checked_scales([0.7]) == (0.7,)


@pytest.mark.parametrize(
    ("scales", "sentence"),
    [
        ((), r"scales \(\) must be one or more finite numbers above 0"),
        ((1, 0), r"scales \(1, 0\) must be one or more finite numbers above 0"),
        ((1, float("inf")), "must be one or more finite numbers above 0"),
        ("1", "scales '1' must be one or more finite numbers above 0"),
        (1.0, "scales 1.0 must be one or more finite numbers above 0"),
        ((1, 1.0), r"scales \(1, 1.0\) has one of them twice"),
        ((0.5, 2), r"scales \(0.5, 2\) must hold 1, whose tags are what people are told apart by"),
        ((0.75, 1), r"would give sides that are no multiples of 32: make 1 a multiple of half the smallest, 0.75"),
    ],
    ids=str,
)
def test_scales_that_do_not_go_together_get_one_sentence(scales, sentence):
    with pytest.raises(ValueError, match=sentence):
        checked_scales(scales)


def test_a_picture_may_be_too_narrow():
    with pytest.raises(ImageError, match="a picture of 1 x 101 pixels is too narrow for a short side of 512: crop it"):
        view_size(101, 1, 512, 1, 1)

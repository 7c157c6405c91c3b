"""A picture on its way into a detector."""

import cv2
import numpy as np
import pytest
import torch

from hrnet_fast.tasks.detection.transforms import fit
from hrnet_fast.tasks.images import ImageError

MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])  # mmdetection's img_norm


def picture(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((480, 640), (800, 1067)), ((427, 640), (800, 1199)), ((300, 1200), (333, 1333)), ((640, 480), (1067, 800)),
     ((800, 1333), (800, 1333)), ((3, 2), (1200, 800))],
)  # fmt: skip
def test_one_side_reaches_its_limit(shape, size):
    x, inner = fit(picture(*shape), 800, 1333)
    assert inner == size
    assert tuple(x.shape) == (1, 3, *(-(-side // 32) * 32 for side in size))


def test_it_is_scaled_in_8_bits_normalised_and_padded_with_the_mean():
    image = picture(50, 70)
    x, (height, width) = fit(image, 60, 1000)
    scaled = cv2.resize(image.numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    want = ((scaled - MEAN) / STD).transpose(2, 0, 1)
    np.testing.assert_allclose(x[0, :, :height, :width].numpy(), want, atol=1e-6)  # float32's own of numbers up to 3
    assert not x[:, :, height:].any() and not x[:, :, :, width:].any() and x.shape[2] > height


@pytest.mark.parametrize("shape", [(10, 1000), (1000, 10)])
def test_a_narrow_picture_is_padded_until_the_coarsest_map_has_a_pixel(shape):
    x, inner = fit(picture(*shape), 800, 1333)
    assert sorted(inner) == [13, 1333] and sorted(x.shape[2:]) == [64, 1344]
    assert tuple(fit(picture(*shape), 1, 1)[0].shape) == (1, 3, 64, 64)


def test_a_strip_is_refused():
    with pytest.raises(ImageError, match="a picture of 1000 x 2 pixels is too narrow for a detector: crop it first"):
        fit(picture(2, 1000), 800, 1333)

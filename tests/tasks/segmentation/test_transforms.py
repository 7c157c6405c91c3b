"""What the network is given, against OpenCV, which the official readers use."""

import cv2
import numpy as np
import pytest
import torch

from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.pixels import MEAN, STD, resize_planes
from hrnet_fast.tasks.segmentation.protocol import NATIVE, protocol_for
from hrnet_fast.tasks.segmentation.transforms import fit, normalise_in_place, window

SHAPES = [(90, 51), (40, 131), (200, 300), (65, 65), (1, 7)]
by_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}x{s[1]}")


def picture(shape):
    return np.random.default_rng(shape[0]).integers(0, 256, (*shape, 3), dtype=np.uint8)


def levels(x):
    """A normalised (1, 3, H, W) as grey levels (H, W, 3), to a hundredth of one, which float32 keeps easily."""
    return (x[0].permute(1, 2, 0).numpy() * np.float32(STD) + np.float32(MEAN)) * 255


@by_shape
def test_lip_is_resized_in_eight_bits(shape):
    image = picture(shape)
    got, valid = fit(torch.from_numpy(image), protocol_for("lip", (73, 73)))
    want = cv2.resize(image, (73, 73), interpolation=cv2.INTER_LINEAR)
    assert valid == (73, 73)
    assert np.abs(levels(got) - want).max() < 0.01


@by_shape
def test_context_gets_a_short_side_and_a_border_of_the_mean(shape):
    image = picture(shape)
    got, valid = fit(torch.from_numpy(image), protocol_for("pascal_context59", (65, 65)))
    h, w = shape
    want_size = (65, int(w * 65 / h + 0.5)) if h < w else (int(h * 65 / w + 0.5), 65)
    want = cv2.resize(image, want_size[::-1], interpolation=cv2.INTER_LINEAR)
    assert valid == want_size
    assert tuple(got.shape[2:]) == tuple(-(-side // 8) * 8 for side in want_size)
    assert np.abs(levels(got)[: valid[0], : valid[1]] - want).max() < 0.01
    border = levels(got)[valid[0] :]
    assert border.size and np.abs(border - [124, 116, 104]).max() < 0.01


def test_a_thread_of_a_picture_is_refused():
    with pytest.raises(ImageError, match="a picture of 900 x 2 pixels is too narrow for a short side of 520: crop it"):
        fit(torch.zeros(2, 900, 3, dtype=torch.uint8), protocol_for("pascal_context59"))


@by_shape
def test_cityscapes_and_native_pictures_keep_their_pixels(shape):
    image = picture(shape)
    for protocol, multiple in ((protocol_for("cityscapes"), 1), (NATIVE, 8)):
        got, valid = fit(torch.from_numpy(image), protocol)
        assert valid == shape
        assert tuple(got.shape[2:]) == tuple(-(-side // multiple) * multiple for side in shape)
        exact, plain = (
            (image / kind(255) - np.array(MEAN, kind)) / np.array(STD, kind) for kind in (np.float64, np.float32)
        )
        ours = got[0, :, : shape[0], : shape[1]].permute(1, 2, 0)
        assert within_tolerance(relative_l2(ours, exact), relative_l2(plain, exact))


@pytest.mark.parametrize("size", [(20, 30), (133, 71), (90, 51)], ids=["down", "up", "same"])
def test_views_are_resized_as_opencv_does(size):
    x = normalise_in_place(torch.from_numpy(picture((90, 51))).permute(2, 0, 1)[None].float())
    want = cv2.resize(np.ascontiguousarray(x[0].permute(1, 2, 0).numpy()), size[::-1], interpolation=cv2.INTER_LINEAR)
    # torch finds places in float32, a millionth of a hundred pixels
    np.testing.assert_allclose(resize_planes(x, size)[0].permute(1, 2, 0), want, atol=2e-5)


def test_windows_past_the_view_are_black():
    x = normalise_in_place(torch.full((2, 3, 5, 6), 77.0))
    part = window(x, 2, 3, 8, 8)
    assert part.shape == (2, 3, 8, 8)
    assert torch.equal(part[:, :, :3, :3], x[:, :, 2:, 3:])
    assert torch.equal(part[:, :, 3:], normalise_in_place(torch.zeros(2, 3, 5, 8)))
    assert torch.equal(window(x, 0, 0, 5, 6), x)

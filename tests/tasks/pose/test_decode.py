"""DARK and UDP against mmpose's loops, and against peaks whose places are known."""

import cv2
import numpy as np
import pytest
import torch

from hrnet_fast.kernels import flip_average, heatmap_decode
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.tasks.pose.dark import refine, smoothed
from hrnet_fast.tasks.pose.decode import decode
from tests.exact import assert_exact
from tests.tasks.pose import official

LOOPS = {"dark": official.dark, "udp": official.udp}
by_method = pytest.mark.parametrize("method", LOOPS)
by_kernel = pytest.mark.parametrize("kernel", [11, 17])


def gaussians(places, size=(64, 48), sigma=2.0):
    """(K, 2) places -> (K, h, w)."""
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in size), indexing="ij")
    places = torch.as_tensor(places, dtype=torch.float64)[..., None, None]
    return torch.exp(-((x - places[:, 0]) ** 2 + (y - places[:, 1]) ** 2) / (2 * sigma**2))


def noisy(people=3, size=(64, 48)):
    """Peaks anywhere, at the borders too, in noise of both signs."""
    h, w = size
    places = torch.rand(people * 5, 2) * torch.tensor([w, h])
    places[:4] = torch.tensor([[0, 0], [w - 1, h - 1], [1, 5], [w - 2, h - 3]])
    maps = gaussians(places, size) + torch.randn(people * 5, h, w, dtype=torch.float64) * 0.02
    return maps.view(people, 5, h, w)


def patches(maps, points):
    """The 5 x 5 pixels of maps (K, h, w) around points, borders repeated."""
    wide = np.pad(maps, ((0, 0), (2, 2), (2, 2)), mode="edge")
    return np.stack([m[y : y + 5, x : x + 5] for m, (x, y) in zip(wide, points[:, :2].long().tolist())])


@by_kernel
@pytest.mark.parametrize("size", [(64, 48), (17, 13), (5, 5)], ids=["64x48", "17x13", "5x5"])
def test_the_blur_is_mmposes(kernel, size):
    maps = noisy(size=size)
    points = heatmap_decode(maps, quarter=False)
    want = [patches(official.blur(person, kernel), at) for person, at in zip(maps.numpy(), points)]
    assert_exact(smoothed(maps, points, kernel), np.array(want))


@pytest.mark.parametrize("kernel", [11, 13, 17])
def test_the_blur_is_opencvs(kernel):
    maps = noisy().float()
    points = heatmap_decode(maps, quarter=False)
    for person, at, got in zip(maps.numpy(), points, smoothed(maps, points, kernel)):
        exact, plain = (patches(blurred(each, kernel), at) for each in (person.astype(float), person))
        assert within_tolerance(relative_l2(got, exact), relative_l2(plain, exact))


def blurred(person, kernel):
    """By OpenCV, each map's maximum as it was."""
    blurred = np.stack([cv2.GaussianBlur(np.pad(m, kernel), (kernel, kernel), 0) for m in person])
    blurred = blurred[:, kernel:-kernel, kernel:-kernel]
    return blurred * (person.max((1, 2)) / blurred.max((1, 2)))[:, None, None]


@by_method
@by_kernel
@pytest.mark.parametrize("size", [(64, 48), (17, 13), (5, 5)], ids=["64x48", "17x13", "5x5"])
def test_points_are_mmposes(method, kernel, size):
    maps = noisy(size=size)
    got = decode(maps, method=method, kernel=kernel)
    for person, points in zip(maps.numpy(), got):
        assert_exact(points[:, :2], LOOPS[method](person, kernel))
        np.testing.assert_array_equal(points[:, 2], official.peaks(person)[1])


@by_method
@pytest.mark.parametrize("shift", [True, False], ids=["shift", "still"])
def test_the_flip_test_comes_first(method, shift):
    maps, flipped = noisy(), noisy().flip(0)
    swap = [0, 2, 1, 4, 3]
    mean = flip_average(maps, flipped, swap, shift).numpy()
    got = decode(maps, flipped, swap, shift=shift, method=method)
    for person, points in zip(mean, got):
        assert_exact(points[:, :2], LOOPS[method](person, 11))


@by_method
@by_kernel
def test_a_gaussian_is_found_to_a_hundredth_of_a_pixel(method, kernel):
    places = torch.rand(20, 2, dtype=torch.float64) * torch.tensor([20.0, 30.0]) + 14
    found = decode(gaussians(places, sigma={11: 2, 17: 3}[kernel])[None], method=method, kernel=kernel)[0, :, :2]
    assert (found - places).abs().max() < 0.01
    quarter = decode(gaussians(places)[None])[0, :, :2]
    assert 0.1 < (quarter - places).abs().max() <= 0.2501  # what the quarter offset leaves


@by_method
def test_maps_in_float32_give_float32(method):
    places = torch.rand(5, 2) * 20 + 14
    got = decode(gaussians(places)[None].float(), method=method)
    assert got.dtype == torch.float32
    assert (got[0, :, :2] - places).abs().max() < 0.01


@by_method
def test_what_has_no_peak_stays(method):
    maps = torch.zeros(1, 3, 16, 12, dtype=torch.float64)
    maps[0, 1] -= 1
    maps[0, 2, 7, 5] = -0.5
    assert decode(maps, method=method).tolist() == heatmap_decode(maps).tolist()


def test_a_flat_top_stays_where_it_is():
    maps = torch.ones(1, 1, 40, 40, dtype=torch.float64)
    points = torch.tensor([[[20.0, 20.0, 1.0]]], dtype=torch.float64)
    assert refine(maps, points, 11).tolist() == points.tolist()


def test_an_empty_batch_gives_an_empty_batch():
    assert decode(torch.zeros(0, 17, 64, 48), method="dark").shape == (0, 17, 3)


def test_an_unknown_method_gets_one_sentence():
    with pytest.raises(ValueError, match=r"decode 'soft' is not known; choose one of quarter, dark, udp"):
        decode(torch.zeros(1, 1, 4, 4), method="soft")


@pytest.mark.parametrize("kernel", [12, 9])
def test_an_unfit_kernel_gets_one_sentence(kernel):
    with pytest.raises(ValueError, match=f"the blur kernel is {kernel}; an odd number from 11 is needed"):
        decode(noisy(), method="dark", kernel=kernel)

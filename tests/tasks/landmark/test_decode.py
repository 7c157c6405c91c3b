"""Decoding against the official loop, mmpose's rule, and hand-made heatmaps."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.landmark.boxes import Square
from hrnet_fast.tasks.landmark.decode import decode
from hrnet_fast.tasks.landmark.metrics import whole_pixels
from hrnet_fast.tasks.landmark.protocol import PROTOCOLS
from hrnet_fast.tasks.landmark.schemes import SCHEMES
from tests.exact import assert_exact

from .official import decode as official_decode

CENTERS = np.array([[120.5, 90.25], [33.0, 41.5], [400.125, 300.75]])
SCALES = np.array([0.66, 0.1875, 2.4375])
SQUARES = [Square(x, y, 200 * s) for (x, y), s in zip(CENTERS, SCALES)]


def heatmaps(size=16, points=40):
    """Random maps, so that many highest pixels lie at borders; some without a value above 0, some flat."""
    maps = torch.randn(3, points, size, size, generator=torch.Generator().manual_seed(5))
    maps[:, 3] = -maps[:, 3].abs()
    maps[1, 4] = 0.5
    maps[2, 5] = 0
    return maps


@pytest.mark.parametrize("cut", [False, True], ids=["sub-pixel", "whole-pixels"])
def test_equals_the_official_loop(cut):
    maps = heatmaps()
    points, scores = decode(maps, SQUARES, PROTOCOLS["official"])
    want = official_decode(maps.numpy(), CENTERS, SCALES, cut)
    assert_exact(whole_pixels(points) if cut else points, np.array(want))
    np.testing.assert_array_equal(scores, maps.flatten(2).max(2).values)


@pytest.mark.parametrize("x", [0, 1, 2, 13, 14, 15])
@pytest.mark.parametrize("y", [0, 1, 7, 14, 15])
def test_quarter_offsets_at_every_border(x, y):
    maps = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(16 * x + y))
    maps[0, 0, y, x] = 2
    ours, _ = decode(maps, SQUARES[:1], PROTOCOLS["official"])
    assert_exact(ours, official_decode(maps.numpy(), CENTERS, SCALES, False))


@pytest.mark.parametrize("x", [0, 1, 2, 14, 15])
@pytest.mark.parametrize("y", [0, 1, 2, 14, 15])
def test_mmpose_judges_each_axis_by_itself(x, y):
    """refine_keypoints in mmpose/codecs/utils/refinement.py; the crop of 64 pixels stands for the picture."""
    maps = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(16 * x + y))
    maps[0, 0, y, x] = 2
    m = maps[0, 0].numpy()
    dx = np.sign(m[y, x + 1] - m[y, x - 1]) if 1 < x < 15 and y > 0 else 0
    dy = np.sign(m[y + 1, x] - m[y - 1, x]) if 1 < y < 15 and x > 0 else 0
    ours, _ = decode(maps, [Square(32, 32, 64)], PROTOCOLS["mmpose"])
    assert_exact(ours[0, 0], np.array([4 * (x + dx / 4), 4 * (y + dy / 4)]))


@pytest.mark.parametrize("points", SCHEMES)
@pytest.mark.parametrize("protocol", ["official", "mmpose"])
def test_flip_test_equals_averaging_by_hand(points, protocol):
    swap, shift = SCHEMES[points].swap, PROTOCOLS[protocol].flip_shift
    maps, mirrored = heatmaps(12, points), heatmaps(12, points).roll(1, 0)
    back = mirrored.numpy()[:, swap, :, ::-1].copy()
    if shift:
        back[..., 1:] = back[..., :-1].copy()
    mean = torch.from_numpy((maps.numpy() + back) * np.float32(0.5))
    ours = decode(maps, SQUARES, PROTOCOLS[protocol], mirrored, swap)
    want = decode(mean, SQUARES, PROTOCOLS[protocol])
    assert all(map(torch.equal, ours, want))


def test_a_mirrored_network_agrees_with_itself():
    """If the mirrored picture gives exactly the mirrored heatmaps, the average is the heatmap itself."""
    swap, maps = SCHEMES[29].swap, heatmaps(12, 29)
    mirrored = maps[:, swap].flip(3)
    ours = decode(maps, SQUARES, PROTOCOLS["official"], mirrored, swap)
    assert all(map(torch.equal, ours, decode(maps, SQUARES, PROTOCOLS["official"])))


def test_a_known_heatmap_by_hand():
    maps = torch.zeros(1, 1, 64, 64)
    maps[0, 0, 20, 10], maps[0, 0, 20, 11], maps[0, 0, 19, 10] = 1.0, 0.5, 0.5
    points, scores = decode(maps, [Square(128, 128, 256)], PROTOCOLS["official"])
    assert points[0, 0].tolist() == [(10 + 0.25 + 0.5) * 4, (20 - 0.25 + 0.5) * 4]
    assert scores.item() == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_other_dtypes_and_strides(dtype):
    maps = heatmaps().to(dtype)
    strided = maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    ours, want = (decode(x, SQUARES, PROTOCOLS["official"]) for x in (strided, maps.contiguous()))
    assert all(map(torch.equal, ours, want))


def test_no_faces():
    points, scores = decode(torch.zeros(0, 29, 8, 8), [], PROTOCOLS["official"])
    assert (points.shape, scores.shape) == ((0, 29, 2), (0, 29))

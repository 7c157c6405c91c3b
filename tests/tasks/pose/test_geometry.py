"""Boxes to regions to crops and back, against the official code's arithmetic."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.pose.affine import crop_matrices, to_picture
from hrnet_fast.tasks.pose.boxes import Regions, regions_of
from tests.exact import assert_exact
from tests.tasks.pose import official

SIZES = [(256, 192), (384, 288), (256, 256), (64, 48)]
by_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))


def boxes(count=40):
    rows = np.random.uniform((-200, -200, 0.5, 0.5), (900, 700, 600, 600), (count, 4))
    return np.vstack([rows, [10, 20, 30, 40], [0, 0, 640, 480], [5, 5, 0.01, 300]])


def center_scale(rows, size):
    return zip(*(official.box_to_center_scale(row, size[1] / size[0]) for row in rows))


@by_size
def test_regions_are_the_official_center_and_scale(size):
    rows = boxes()
    regions = regions_of(torch.from_numpy(rows), size[1] / size[0])
    centers, scales = center_scale(rows, size)
    assert_exact(regions.centers, np.array(centers))
    assert_exact(regions.sizes / 200, np.array(scales))
    assert_exact(regions.areas, np.array([np.prod(scale * 200) for scale in scales]))


@by_size
def test_matrices_and_points_are_the_official_ones(size):
    rows, (h, w) = boxes(), size
    regions = regions_of(torch.from_numpy(rows), w / h)
    points = np.random.uniform(-5, 300, (len(rows), 17, 2))
    got_maps, got_points = crop_matrices(regions, size), to_picture(torch.from_numpy(points), regions, size)
    for i, (center, scale) in enumerate(zip(*center_scale(rows, size))):
        assert_exact(got_maps[i], official.affine(center, scale, (w, h)))
        back = official.affine(center, scale, (w, h), inverse=True)
        assert_exact(got_points[i], np.array([official.apply(back, point) for point in points[i]]))


@by_size
def test_udp_matrices_are_mmposes(size):
    rows, (h, w) = boxes(), size
    regions = regions_of(torch.from_numpy(rows), w / h)
    got = crop_matrices(regions, size, udp=True)
    for i, (center, scale) in enumerate(zip(*center_scale(rows, size))):
        assert_exact(got[i], official.udp_affine(center, scale * 200, (w, h)))


def test_udp_takes_corners_to_corners():
    regions = Regions(torch.tensor([[100.0, 60.0]]).double(), torch.tensor([[30.0, 40.0]]).double())
    points = torch.tensor([[[0.0, 0.0], [47.0, 63.0], [23.5, 31.5]]])
    assert to_picture(points, regions, (64, 48), udp=True).tolist() == [[[85, 40], [115, 80], [100, 60]]]


@pytest.mark.parametrize("udp", [False, True], ids=["official", "udp"])
def test_a_crop_and_its_heatmap_agree_on_where_the_picture_is(udp):
    regions = regions_of(torch.from_numpy(boxes()), 0.75)
    maps = crop_matrices(regions, (256, 192), udp)
    points = torch.rand(len(regions), 17, 2, dtype=torch.float64) * torch.tensor([48.0, 64.0])
    found = to_picture(points, regions, (64, 48), udp)
    in_crop = found @ maps[:, :, :2].mT + maps[:, None, :, 2]
    factor = torch.tensor([191 / 47, 255 / 63] if udp else [4.0, 4.0], dtype=torch.float64)
    assert_exact(in_crop, points * factor)

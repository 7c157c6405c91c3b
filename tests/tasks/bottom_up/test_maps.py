"""The network's outputs become one heatmap and one or two tags a keypoint: against formulas of the test's own."""

import numpy as np
import pytest
import torch

from hrnet_fast.tasks.bottom_up.maps import Sum, view_maps
from hrnet_fast.tasks.pose.skeletons import COCO
from tests.exact import assert_exact

K, SIZE = 17, (8, 12)  # of the finer maps


def outputs(seed, views, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    shapes = (views, 2 * K, size[0] // 2, size[1] // 2), (views, K, *size)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def bilinear(x, size):
    """(..., H, W) at another size: each axis a weighted mean of the two nearest pixels, half-pixel centres."""
    for axis, to in ((-2, size[0]), (-1, size[1])):
        side = x.shape[axis]
        at = np.clip((np.arange(to) + 0.5) * side / to - 0.5, 0, side - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape((-1, 1) if axis == -2 else (-1,))
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, side - 1), axis) * share
    return x


def expected(coarse, fine, size):
    coarse = bilinear(coarse, fine.shape[-2:])
    heat, tags = (coarse[:, :K] + fine) / 2, coarse[:, K:]
    if len(fine) == 2:
        heat, tags = (np.stack([x[0], x[1][COCO.swap, :, ::-1]]) for x in (heat, tags))
    return bilinear(heat, size), bilinear(tags, size)


@pytest.mark.parametrize("size", [None, (16, 24), (13, 31), (6, 9)], ids=str)
@pytest.mark.parametrize("views", [1, 2])
def test_a_view(views, size):
    coarse, fine = outputs(0, views)
    got = view_maps((coarse, fine), COCO.swap, size)
    for x, y in zip(got, expected(coarse.numpy(), fine.numpy(), size or SIZE)):
        assert_exact(x.numpy(), y)


@pytest.mark.parametrize("views", [1, 2])
def test_views_are_averaged_at_the_size_of_the_first(views):
    total, heats = Sum(), []
    for seed, size in enumerate([(16, 24), SIZE, (4, 6)]):
        heat, tags = view_maps(outputs(seed, views, size), COCO.swap)
        total.add(heat, tags, with_tags=size == SIZE)
        heats.append(bilinear(heat.numpy().mean(0), (16, 24)))
        if size == SIZE:
            wanted = bilinear(tags.numpy(), (16, 24))
    maps = total.mean()
    assert_exact(maps.heatmaps.numpy(), sum(heats) / 3)
    assert_exact(maps.tags.numpy(), wanted)
    assert maps.tags.shape == (views, K, 16, 24)


def test_a_mirrored_scene_gives_mirrored_maps():
    """The picture and its mirror image change places: heatmaps are mirrored, and the tags change places too."""
    coarse, fine = outputs(3, 2)
    maps, mirrored = Sum(), Sum()
    maps.add(*view_maps((coarse, fine), COCO.swap), with_tags=True)
    mirrored.add(*view_maps((coarse.flip(0), fine.flip(0)), COCO.swap), with_tags=True)
    turned = maps.mean().heatmaps.flip(2)[COCO.swap]
    assert_exact(mirrored.mean().heatmaps, turned)
    assert_exact(mirrored.mean().tags, maps.mean().tags.flip(0).flip(3)[:, COCO.swap])

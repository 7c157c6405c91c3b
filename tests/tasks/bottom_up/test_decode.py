"""Maps become people: peaks and their neighbours, what is filled in, and where."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.tasks.bottom_up import Grouping, refine
from hrnet_fast.tasks.bottom_up.candidates import find_candidates, highest_around, offsets_at
from hrnet_fast.tasks.bottom_up.decode import decode
from hrnet_fast.tasks.bottom_up.maps import Maps
from hrnet_fast.tasks.bottom_up.refine import find_missing


def random_maps(seed, size=(37, 53), keypoints=17, dims=2, levels=None):
    """Noise; `levels`: of so many different heights and tags, so that many are equal."""
    generator = torch.Generator().manual_seed(seed)
    heat = torch.rand(keypoints, *size, generator=generator)
    tags = 3 * torch.randn(dims, keypoints, *size, generator=generator)
    if levels:
        heat, tags = (heat * levels).round() / levels, (tags * 2).round() / 2
    return Maps(heat, tags)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (37, 53), (64, 5)], ids=str)
@pytest.mark.parametrize("radius", [1, 2, 3, 7])
def test_the_highest_around_is_the_pooled_one(size, radius):
    heat = random_maps(0, size, levels=9).heatmaps - 0.5
    assert torch.equal(highest_around(heat, radius), F.max_pool2d(heat[None], 2 * radius + 1, 1, radius)[0])


def slow_offset(heat, x, y):
    height, width = heat.shape
    right, left = heat[y, min(x + 1, width - 1)], heat[y, max(x - 1, 0)]
    below, above = heat[min(y + 1, height - 1), x], heat[max(y - 1, 0), x]
    return [0.25 if right > left else -0.25, 0.25 if below > above else -0.25]


def test_offsets_look_at_both_sides_and_stop_at_the_border():
    heat = random_maps(1, (6, 9), 2, levels=4).heatmaps
    places = torch.arange(54).expand(2, 54)
    got = offsets_at(heat, torch.arange(2)[:, None], places).tolist()
    assert got == [[slow_offset(heat[k], p % 9, p // 9) for p in range(54)] for k in range(2)]
    assert {tuple(o) for row in got for o in row} == {(a, b) for a in (0.25, -0.25) for b in (0.25, -0.25)}


@pytest.mark.parametrize("dims", [1, 2])
def test_candidates_are_the_highest_peaks(dims):
    maps = random_maps(2, dims=dims)
    found = find_candidates(maps, 30)
    heat = maps.heatmaps.numpy()
    pooled = F.max_pool2d(maps.heatmaps[None], 5, 1, 2)[0].numpy()
    for k in range(17):
        peaks = sorted(((v, y, x) for (y, x), v in np.ndenumerate(heat[k]) if v == pooled[k, y, x]), reverse=True)[:30]
        assert [(x, y) for _, y, x in peaks] == [tuple(p) for p in found.points[k].tolist()]
        assert [v for v, _, _ in peaks] == found.scores[k].tolist()
        for c, (_, y, x) in enumerate(peaks):
            assert found.tags[k, c].tolist() == maps.tags[:, k, y, x].tolist()
            assert found.offsets[k, c].tolist() == slow_offset(heat[k], x, y)


def test_there_may_be_fewer_pixels_than_candidates():
    found = find_candidates(random_maps(0, (2, 3), 4), 30)
    assert found.scores.shape == (4, 6) and (found.scores[:, 1:] == 0).all()


def slow_missing(maps, mean, k):
    """The place of the highest heat less rounded distance, over all pixels in reading order."""
    heat, tags = maps.heatmaps[k].numpy(), maps.tags[:, k].numpy()
    far = np.round(np.sqrt(sum((tag - value) ** 2 for tag, value in zip(tags, mean))))
    y, x = np.unravel_index(np.argmax(heat - far), heat.shape)
    dx, dy = slow_offset(heat, int(x), int(y))
    return [x + 0.5 + dx, y + 0.5 + dy, heat[y, x]] if heat[y, x] > 0 else [0, 0, 0]


@pytest.mark.parametrize("blocks", [1, 16, 1000])
@pytest.mark.parametrize("levels", [None, 3], ids=["noise", "many alike"])
@pytest.mark.parametrize(("size", "dims"), [((37, 53), 2), ((16, 16), 1), ((5, 90), 2), ((80, 33), 1)], ids=str)
def test_missing_keypoints_are_looked_for_everywhere(monkeypatch, size, dims, levels, blocks):
    monkeypatch.setattr(refine, "_LOOKED_AT", blocks)
    maps = random_maps(3, size, dims=dims, levels=levels)
    maps.heatmaps[3], maps.heatmaps[4] = 0, -maps.heatmaps[4]
    generator = np.random.default_rng(0)
    means = generator.normal(0, 3, (6, dims)).astype(np.float32)
    missing = generator.uniform(size=(6, 17)) < 0.6
    got = find_missing(maps, torch.from_numpy(means), torch.from_numpy(missing))
    expected = [slow_missing(maps, means[p], k) for p, k in np.argwhere(missing)]
    np.testing.assert_array_equal(got.numpy(), np.array(expected, np.float32))


def one_person(tag=1.0):
    """A nose and an eye at two places, and an ear that is too low to be a peak; each with the same tag."""
    maps = Maps(torch.zeros(17, 32, 48), torch.full((2, 17, 32, 48), 40.0))
    for k, (x, y, height) in enumerate([(10, 5, 0.5), (13, 7, 0.75), (16, 9, 0.0625)]):
        maps.heatmaps[k, y, x], maps.heatmaps[k, y, x + 1], maps.heatmaps[k, y - 1, x] = height, height / 2, height / 4
        maps.tags[:, k, y - 1 : y + 1, x : x + 2] = tag
    return maps


def test_a_person_is_what_it_says():
    points, scores = decode(one_person())
    assert points.dtype == scores.dtype == torch.float32 and points.shape == (1, 17, 3)
    # to the right and up by a quarter, and by half a pixel to its middle
    assert points[0, :3].tolist() == [[10.75, 5.25, 0.5], [13.75, 7.25, 0.75], [16.75, 9.25, 0.0625]]
    assert not points[0, 3:].any()
    assert scores.tolist() == pytest.approx([(0.5 + 0.75) / 17], rel=1e-7)  # before the ear was filled in


def test_without_refinement_and_adjustment_peaks_stay():
    points, scores = decode(one_person(), refine=False, adjust=False)
    assert points[0, :3].tolist() == [[10, 5, 0.5], [13, 7, 0.75], [0, 0, 0]]
    assert scores.tolist() == pytest.approx([1.25 / 17], rel=1e-7)


def test_nobody_is_nobody():
    points, scores = decode(Maps(torch.zeros(17, 20, 20), torch.zeros(2, 17, 20, 20)))
    assert points.shape == (0, 17, 3) and scores.shape == (0,)


def test_people_come_by_falling_score():
    maps = random_maps(5, (40, 60))
    points, scores = decode(maps, Grouping(detection_threshold=0.99))
    assert len(points) > 5 and (scores.diff() <= 0).all()

"""The peaks of each heatmap, with their tags, where the maps are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .maps import Maps

_RADIUS = 2  # TEST.NMS_KERNEL 5 of experiments/coco/higher_hrnet/*.yaml


@dataclass(frozen=True)
class Candidates:
    """C peaks of each of K heatmaps, by falling height.

    points: (K, C, 2) float32 x, y in pixels of the maps. offsets: (K, C, 2) float32, a quarter of a pixel towards the
    higher neighbours. scores: (K, C) float32, their heights. tags: (K, C, T) float32.
    """

    points: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    tags: np.ndarray


def find_candidates(maps: Maps, count: int) -> Candidates:
    """The `count` highest pixels of each heatmap among those that are the highest of the 5 x 5 around them, equal
    neighbours included; where there are fewer, pixels of height 0.

    top_k of lib/core/group.py. One copy from the maps' device.
    """
    heatmaps, tags = maps.heatmaps, maps.tags
    peaks = heatmaps * (heatmaps == highest_around(heatmaps, _RADIUS))
    scores, places = peaks.flatten(1).topk(min(count, peaks[0].numel()), 1)  # (K, C)
    found = tags.flatten(2).gather(2, places.expand(len(tags), -1, -1))  # (T, K, C)
    points = points_of(places, heatmaps.shape[2])
    offsets = offsets_at(heatmaps, torch.arange(len(heatmaps), device=places.device)[:, None], places)
    columns = torch.cat((points, offsets, scores[..., None], found.permute(1, 2, 0)), 2)
    table = columns.cpu().numpy()
    return Candidates(table[..., :2], table[..., 2:4], table[..., 4], table[..., 5:])


def highest_around(heatmaps: Tensor, radius: int) -> Tensor:
    """(K, H, W): the highest value in the square around each pixel; max_pool2d's numbers, from a few sliding maxima."""
    for _ in range(2):  # along the rows, then along the columns
        width = heatmaps.shape[2]
        wide = F.pad(heatmaps, (radius, radius), value=-torch.inf)
        spans, length = wide, 1  # spans[..., x] is the highest of `length` values from x
        while 2 * length <= 2 * radius + 1:
            spans, length = torch.maximum(spans[..., :-length], spans[..., length:]), 2 * length
        rest = 2 * radius + 1 - length
        heatmaps = torch.maximum(spans[..., :width], spans[..., rest : rest + width]).transpose(1, 2)
    return heatmaps


def points_of(places: Tensor, width: int) -> Tensor:
    """Numbers of pixels in reading order -> float32 x, y in a last dimension."""
    return torch.stack((places % width, places // width), -1).float()


def offsets_at(heatmaps: Tensor, keypoints: Tensor, places: Tensor) -> Tensor:
    """A quarter of a pixel to the right and down where that neighbour is higher than the opposite one, else to the left
    and up, even where both are equal; past the border a pixel is its own neighbour (`adjust` of lib/core/group.py).

    heatmaps: (K, H, W). keypoints, places: numbers of heatmaps and of pixels on them in reading order, which go
    together. Returns x, y in a last dimension, float32.
    """
    height, width = heatmaps.shape[1:]
    x, y = places % width, places // width
    right = heatmaps[keypoints, y, (x + 1).clamp(max=width - 1)] > heatmaps[keypoints, y, (x - 1).clamp(min=0)]
    down = heatmaps[keypoints, (y + 1).clamp(max=height - 1), x] > heatmaps[keypoints, (y - 1).clamp(min=0), x]
    return torch.stack((right, down), -1).float() / 2 - 0.25

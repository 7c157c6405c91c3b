"""From maps to people, in pixels of the maps: HeatmapParser.parse of lib/core/group.py."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .candidates import find_candidates
from .grouping import OFFICIAL, Grouping, group
from .maps import Maps
from .refine import find_missing


def decode(
    maps: Maps, rules: Grouping = OFFICIAL, *, adjust: bool = True, refine: bool = True
) -> tuple[Tensor, Tensor]:
    """People (P, K, 3) x, y, score and their scores (P,), both float32 on the CPU, by falling score.

    adjust: moves keypoints by a quarter of a pixel towards the higher neighbours, and by half a pixel, from the pixel's
        corner to its centre. refine: looks for the keypoints that a person lacks, where the heatmap is high and the tag
        near; a keypoint that still is not found is (0, 0, 0).
    A person's score is the mean of its K keypoint scores before `refine`.
    """
    found = find_candidates(maps, rules.max_people)
    members = group(found.scores, found.tags, rules)  # (P, K)
    here, keypoints = members >= 0, np.arange(members.shape[1])
    people = np.zeros((*members.shape, 3), np.float32)
    points = found.points + (found.offsets + np.float32(0.5) if adjust else 0)
    people[..., :2] = points[keypoints, members] * here[..., None]
    people[..., 2] = found.scores[keypoints, members] * here
    scores = people[..., 2].mean(1)
    if refine and len(people):
        tags = found.tags[keypoints, members]  # (P, K, T)
        means = np.array([one[there].mean(0) for one, there in zip(tags, here)])
        people[~here] = find_missing(maps, torch.from_numpy(means), torch.from_numpy(~here)).numpy()
    order = np.argsort(-scores, kind="stable")
    return torch.from_numpy(people[order]), torch.from_numpy(scores[order])

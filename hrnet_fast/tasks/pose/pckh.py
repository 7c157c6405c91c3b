"""PCKh, the metric of MPII: evaluate of lib/dataset/mpii.py in the official pose repository."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SC_BIAS = 0.6  # of the head box's diagonal
THRESHOLD = 0.5
_SWEEP = 0.11  # what the official code calls Mean@0.1: number 11 of the thresholds 0, 0.01, 0.02, ...
_NOT_COUNTED = (6, 7)  # pelvis and thorax
_GROUPS = {
    "Head": ("head",),
    "Shoulder": ("lsho", "rsho"),
    "Elbow": ("lelb", "relb"),
    "Wrist": ("lwri", "rwri"),
    "Hip": ("lhip", "rhip"),
    "Knee": ("lkne", "rkne"),
    "Ankle": ("lank", "rank"),
}
JOINTS = tuple(member for members in _GROUPS.values() for member in members)  # that have to be named


def pckh(
    points: Tensor,  # (N, 16, 2), pixels counted from 1, as the annotations'
    truth: Tensor,  # (N, 16, 2)
    missing: Tensor,  # (N, 16) bool
    heads: Tensor,  # (N, 2, 2), corners of the head boxes
    joints: Sequence[str],  # 16 names, as gt_valid.mat has them
) -> dict[str, float]:
    """The share of joints, in per cent, that lie within half a head of the truth; by group, and the mean over joints.

    A joint that is missing in all pictures counts in no mean; a group of such joints is left out.
    Errors: ValueError if no joint at all is annotated.
    """
    distances = (points.double() - truth.double()).norm(dim=2)
    sizes = (heads[:, 1].double() - heads[:, 0].double()).norm(dim=1) * SC_BIAS
    scaled = distances / sizes[:, None]
    seen = ~missing.bool()
    counts = seen.sum(0, dtype=torch.float64)
    right, right_at_a_tenth = (((scaled <= t) & seen).sum(0) / counts * 100.0 for t in (THRESHOLD, _SWEEP))
    counted = counts > 0
    groups = {}
    for name, members in _GROUPS.items():
        where = [joints.index(member) for member in members]
        if counted[where].all():
            groups[name] = float(right[where].mean())
    counted[list(_NOT_COUNTED)] = False
    if not counted.any():
        raise ValueError("no joint is annotated in these pictures: there is nothing to evaluate")
    weights = counts[counted] / counts[counted].sum()
    return groups | {
        "Mean": float((right[counted] * weights).sum()),
        "Mean@0.1": float((right_at_a_tenth[counted] * weights).sum()),
    }

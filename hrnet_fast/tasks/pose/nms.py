"""Object keypoint similarity, and the suppression of double people by it: lib/nms/nms.py of the official repository."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

OKS_THRE = 0.9  # TEST.OKS_THRE of experiments/coco/hrnet/*.yaml
MAX_PEOPLE = 20  # soft_oks_nms: max_dets
_EPS = float(np.spacing(1))


def oks(
    first: Tensor,  # (M, K, 3) x, y, score
    second: Tensor,  # (N, K, 3)
    first_areas: Tensor,  # (M,) square pixels
    second_areas: Tensor,  # (N,)
    sigmas: Sequence[float],  # K
    visible: float | None = None,
    official_visibility: bool = False,
) -> Tensor:  # (M, N) float64, 0 to 1
    """How alike two poses are: the mean over keypoints of exp(-d^2 / (2 (2 sigma)^2 area)), area the mean of both.

    visible: only keypoints whose scores are above it count, in both poses; 0 if there are none. None counts all.
    official_visibility: looks at the second pose's scores alone, as the official code does by writing
        `list(a) and list(b)` (mmpose mended it).
    """
    first, second = first.double(), second.double()
    variances = (torch.tensor(sigmas, dtype=torch.float64, device=first.device) * 2) ** 2
    areas = (first_areas.double()[:, None] + second_areas.double()) / 2 + _EPS
    distances = (first[:, None, :, :2] - second[:, :, :2]).square().sum(-1)
    similar = torch.exp(-distances / variances / areas[..., None] / 2)
    if visible is None:
        return similar.mean(-1)
    counted = (second[..., 2] > visible).expand(len(first), -1, -1)
    if not official_visibility:
        counted = counted & (first[:, None, :, 2] > visible)
    return (similar * counted).sum(-1) / counted.sum(-1).clamp(min=1)


def oks_nms(
    points: Tensor,  # (N, K, 3) x, y, score
    scores: Tensor,  # (N,)
    areas: Tensor,  # (N,) square pixels, of the regions that were cut out
    sigmas: Sequence[float],  # K
    threshold: float = OKS_THRE,
    visible: float | None = None,
    official_visibility: bool = False,
) -> Tensor:  # (kept,) int64, by falling score
    """The people that stay when, from the best score down, each drops those whose OKS with it is above `threshold`."""
    overlaps = oks(points, points, areas, areas, sigmas, visible, official_visibility)
    order = _falling(scores)
    keep: list[Tensor] = []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        order = order[overlaps[best, order] <= threshold]
    return torch.stack(keep) if keep else torch.empty(0, dtype=torch.int64, device="cpu")


def soft_oks_nms(
    points: Tensor,  # (N, K, 3)
    scores: Tensor,  # (N,)
    areas: Tensor,  # (N,)
    sigmas: Sequence[float],  # K
    threshold: float = OKS_THRE,
    visible: float | None = None,
    official_visibility: bool = False,
    max_people: int = MAX_PEOPLE,
) -> Tensor:  # (kept,) int64, in the order in which they were taken
    """At most `max_people`: each in turn multiplies the others' scores by exp(-OKS^2 / threshold); the best comes next.

    As the official code, it chooses and orders by these scores but does not give them out: people keep their own.
    """
    overlaps = oks(points, points, areas, areas, sigmas, visible, official_visibility)
    order = _falling(scores)
    scores = scores.double()[order]
    keep: list[Tensor] = []
    while len(order) and len(keep) < max_people:
        best, order = order[0], order[1:]
        keep.append(best)
        scores = scores[1:] * torch.exp(-overlaps[best, order].square() / threshold)
        again = _falling(scores)
        order, scores = order[again], scores[again]
    return torch.stack(keep) if keep else torch.empty(0, dtype=torch.int64, device="cpu")


def suppression_of(name: str | None) -> Callable[..., Tensor] | None:
    """`oks_nms` for "hard", `soft_oks_nms` for "soft", None for None. ValueError for another name."""
    known: dict[str | None, Callable[..., Tensor] | None] = {None: None, "hard": oks_nms, "soft": soft_oks_nms}
    if name not in known:
        raise ValueError(f"nms {name!r} is not known; choose hard, soft or None")
    return known[name]


def check_threshold(threshold: float) -> None:
    """ValueError for an OKS that nothing can be held against; above 1, "hard" suppresses nobody."""
    if not 0 < threshold < math.inf:
        raise ValueError(f"oks_threshold is {threshold}; a finite number above 0 is needed")


def _falling(scores: Tensor) -> Tensor:
    """Of equal scores the last comes first, as with argsort()[::-1]."""
    return scores.argsort(stable=True).flip(0)

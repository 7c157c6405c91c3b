"""The keypoints that people lack, looked for where the heatmap is high and the tag is theirs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .candidates import offsets_at, points_of
from .maps import Maps

_SIDE = 16  # of the blocks that maps are cut into
_LOOKED_AT = 16  # blocks for each keypoint
_TOGETHER = 64  # keypoints


def find_missing(maps: Maps, means: Tensor, missing: Tensor) -> Tensor:
    """x, y, score of each of the n missing keypoints, in the order of `missing.nonzero()`: (n, 3) float32, on the CPU.

    means: (P, T) float32, tags of the people. missing: (P, K) bool. Both on the CPU.
    The place is the first in reading order where the heatmap, less the rounded distance of its tag from the person's,
    is highest; (0, 0, 0) where the heatmap is not above 0 there. It is always moved by a quarter of a pixel.
    `refine` of lib/core/group.py, which looks at all pixels; here blocks that hold no such place are passed over.
    """
    device = maps.heatmaps.device
    person, kind = missing.nonzero(as_tuple=True)
    if not len(person):
        return torch.empty(0, 3, dtype=torch.float32, device="cpu")
    wanted, joint = means[person].to(device), kind.to(device)  # (n, T), (n,)
    blocks = _Blocks(maps)
    parts = zip(joint.split(_TOGETHER), wanted.split(_TOGETHER))
    places, sure = (torch.cat(x) for x in zip(*(blocks.best(*part) for part in parts)))
    for pair in (~sure.cpu()).nonzero()[:, 0].tolist():
        k = int(kind[pair])
        values = maps.heatmaps[k] - _steps(maps.tags[:, k], wanted[pair, :, None, None])
        places[pair] = values.flatten().argmax()
    scores = maps.heatmaps.flatten(1)[joint, places]
    points = points_of(places, maps.heatmaps.shape[2]) + 0.5 + offsets_at(maps.heatmaps, joint, places)
    return (torch.cat((points, scores[:, None]), 1) * (scores > 0)[:, None]).cpu()


class _Blocks:
    """Maps in B blocks of S pixels, and what their values can be at most."""

    def __init__(self, maps: Maps) -> None:
        height, width = maps.heatmaps.shape[1:]
        self.heatmaps = _cut(maps.heatmaps, -torch.inf)  # (K, B, S)
        self.tags = _cut(maps.tags, 0)  # (T, K, B, S)
        numbers = torch.arange(height * width, device=maps.heatmaps.device).view(height, width)
        self.places = _cut(numbers, height * width)  # (B, S)
        self.highest = self.heatmaps.amax(2)  # (K, B)
        self.low, self.high = self.tags.aminmax(dim=3)  # (T, K, B)

    def best(self, joint: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The best place for each of n tags (n, T), and whether no block that was passed over may hold a better one."""
        rows = joint[:, None]
        # computed as the values are, step by step, so that no value is above its bound by rounding
        nearest = wanted.T[..., None].clamp(self.low[:, joint], self.high[:, joint])  # (T, n, B)
        bounds = self.highest[joint] - _steps(nearest, wanted.T[..., None])
        looked_at = min(_LOOKED_AT, bounds.shape[1])
        bounds, order = bounds.topk(min(looked_at + 1, bounds.shape[1]), 1)
        chosen = order[:, :looked_at]
        values = self.heatmaps[rows, chosen] - _steps(self.tags[:, rows, chosen], wanted.T[..., None, None])
        values = values.flatten(1)
        best = values.amax(1, keepdim=True)
        first = torch.where(values == best, self.places[chosen].flatten(1), torch.iinfo(torch.int64).max).amin(1)
        return first, (best > bounds[:, looked_at:]).all(1)


def _cut(x: Tensor, fill: float) -> Tensor:
    """(..., H, W) -> (..., B, S): blocks of 16 x 16, the last ones filled up."""
    down, right = (-side % _SIDE for side in x.shape[-2:])
    x = F.pad(x, (0, right, 0, down), value=fill) if down or right else x
    x = x.unflatten(-1, (-1, _SIDE)).unflatten(-3, (-1, _SIDE))
    return x.transpose(-2, -3).flatten(-2).flatten(-3, -2)


def _steps(tags: Tensor, wanted: Tensor) -> Tensor:
    """Distances of tags (T, ...) from the wanted ones, rounded."""
    return (tags - wanted).square_().sum(0).sqrt_().round_()

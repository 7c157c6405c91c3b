"""From the network's outputs, at each scale, to one heatmap and one or two tags a keypoint and pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..pixels import resize_planes


@dataclass(frozen=True)
class Maps:
    """heatmaps: (K, H, W). tags: (T, K, H, W), T is 2 with a flip test, whose tags come second, else 1."""

    heatmaps: Tensor
    tags: Tensor


def view_maps(
    outputs: Sequence[Tensor], swap: Sequence[int], size: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Heatmaps and tags, both (V, K, H, W), of a view and, if V is 2, of its mirror image, which is turned back.

    outputs: of the network for V images: heatmaps and tags (V, 2K, h, w), and heatmaps (V, K, 2h, 2w). The heatmaps
        are averaged at the size of the finer ones (TEST.WITH_HEATMAPS), the tags are the coarser ones'.
    swap: keypoint k of a picture is keypoint swap[k] of its mirror image. size: (height, width) that all are brought
        to (TEST.PROJECT2IMAGE); None for the finer maps'.
    get_multi_stage_outputs of lib/core/inference.py.
    """
    coarse, fine = outputs
    keypoints = fine.shape[1]
    coarse = resize_planes(coarse, fine.shape[2:])
    heatmaps, tags = (coarse[:, :keypoints] + fine) / 2, coarse[:, keypoints:]
    if len(fine) == 2:
        order = torch.tensor(swap, device="cpu").to(fine.device)
        heatmaps, tags = (torch.stack((x[0], x[1].flip(2)[order])) for x in (heatmaps, tags))
    if size is not None:
        heatmaps, tags = resize_planes(heatmaps, size), resize_planes(tags, size)
    return heatmaps, tags


class Sum:
    """Adds up views by falling scale: aggregate_results of lib/core/inference.py.

    The size of the first view's maps is that of the result, where later views have other sizes.
    """

    def __init__(self) -> None:
        self._heatmaps: Tensor | None = None
        self._tags: Tensor | None = None
        self._views = 0

    def add(self, heatmaps: Tensor, tags: Tensor, with_tags: bool) -> None:
        """heatmaps, tags: (V, K, H, W), as `view_maps` gives them. with_tags: for the one view whose tags count."""
        size = heatmaps.shape[2:] if self._heatmaps is None else self._heatmaps.shape[1:]
        mean = (heatmaps[0] + heatmaps[1]) / 2 if len(heatmaps) == 2 else heatmaps[0]
        mean = resize_planes(mean[None], size)[0]
        self._heatmaps = mean if self._heatmaps is None else self._heatmaps + mean
        self._views += 1
        if with_tags:
            self._tags = resize_planes(tags, size)

    def mean(self) -> Maps:
        if self._heatmaps is None or self._tags is None:
            raise ValueError("there is no mean of no views, or of none whose tags count")
        return Maps(self._heatmaps / self._views, self._tags)

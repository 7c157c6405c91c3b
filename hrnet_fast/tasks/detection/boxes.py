"""A detector's boxes, corners x1, y1, x2, y2 in pixels: the anchors that it begins from, and deltas that move them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# mmdetection's configs/_base_/models/faster-rcnn_r50_fpn.py, anchor_generator and both bbox_coders
STRIDES = (4, 8, 16, 32, 64)
SCALE = 8  # an anchor's side, in strides
RATIOS = (0.5, 1.0, 2.0)  # height : width
ROI_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
MOST_GROWTH = abs(math.log(16 / 1000))  # mmdet/models/task_modules/coders/delta_xywh_bbox_coder.py: wh_ratio_clip


def anchors(size: tuple[int, int], stride: int, device: torch.device) -> Tensor:  # (h * w * 3, 4) float32
    """Of a level of `size` (h, w), row by row (mmdet/models/task_modules/prior_generators/anchor_generator.py)."""
    tall = torch.tensor(RATIOS, device=device, dtype=torch.float32).sqrt()
    sides = torch.stack((1 / tall, tall), 1) * (SCALE * stride)  # width, height
    y, x = (torch.arange(n, device=device, dtype=torch.float32) * stride for n in size)
    centers = torch.stack(torch.meshgrid(x, y, indexing="xy"), 2).reshape(-1, 1, 2)
    return torch.cat((centers - sides / 2, centers + sides / 2), 2).reshape(-1, 4)


def moved(
    boxes: Tensor,  # (N, 4)
    deltas: Tensor,  # (N, 4K): of each box's K alternatives the moves of the centre, in sides, and logs of the growth
    size: tuple[int, int],  # height, width of the picture
    deviations: Sequence[float] = (1, 1, 1, 1),  # the deltas' units
) -> Tensor:  # (N, K, 4), clipped to the picture
    """delta2bbox of mmdet/models/task_modules/coders/delta_xywh_bbox_coder.py."""
    deltas = deltas.unflatten(1, (-1, 4)) * torch.tensor(deviations, device=boxes.device, dtype=boxes.dtype)
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    sides = high - low
    centers = (low + high) / 2 + sides * deltas[..., :2]
    half = sides * deltas[..., 2:].clamp(-MOST_GROWTH, MOST_GROWTH).exp() / 2
    limits = torch.tensor((size[1], size[0]), device=boxes.device, dtype=boxes.dtype)
    return torch.cat([corner.clamp(min=0).minimum(limits) for corner in (centers - half, centers + half)], 2)

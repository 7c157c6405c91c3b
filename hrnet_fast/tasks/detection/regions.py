"""From a pyramid's maps to regions, and from regions to boxes: the test of mmdetection's two-stage detectors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from ..optional import torchvision_ops
from .boxes import ROI_DEVIATIONS, STRIDES, anchors, moved

# mmdetection's configs/_base_/models/faster-rcnn_r50_fpn.py, test_cfg.rpn
RPN_BEFORE, RPN_AFTER, RPN_IOU = 1000, 1000, 0.7
ROI_LEVELS, ROI_SIZE = 4, 7  # the same file, bbox_roi_extractor
PIECE = 32  # regions that a thread cuts out at once
FINEST_SIDE = 56  # mmdet/models/roi_heads/roi_extractors/single_level_roi_extractor.py: finest_scale


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes, by falling score: corners (N, 4) x1, y1, x2, y2 in pixels, scores (N,) and classes (N,)."""

    corners: Tensor
    scores: Tensor
    classes: Tensor


def propose(
    logits: Sequence[Tensor],  # of each level (3, h, w)
    deltas: Sequence[Tensor],  # of each level (12, h, w)
    size: tuple[int, int],  # height, width of the picture within the network's input
) -> Tensor:  # (R, 4), the likeliest first
    """Where there may be something: up to 1000 boxes (mmdet/models/dense_heads/rpn_head.py)."""
    boxes, scores, levels = [], [], []
    for number, (each, moves, stride) in enumerate(zip(logits, deltas, STRIDES, strict=True)):
        likely = _single(each.permute(1, 2, 0).flatten()).sigmoid()
        best, chosen = likely.topk(min(RPN_BEFORE, len(likely)))
        moves = _single(moves.permute(1, 2, 0).reshape(-1, 4)[chosen])
        begins = anchors((each.shape[1], each.shape[2]), stride, each.device)[chosen]
        boxes.append(moved(begins, moves, size)[:, 0])
        scores.append(best)
        levels.append(torch.full_like(chosen, number))
    corners, likely, level = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
    wide = (corners[:, 2:] > corners[:, :2]).all(1)
    corners, likely, level = corners[wide], likely[wide], level[wide]
    kept = torchvision_ops().batched_nms(corners, likely, level, RPN_IOU)
    return corners[kept[:RPN_AFTER]]


def _single(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def cut_out(maps: Sequence[Tensor], regions: Tensor) -> Tensor:  # (R, C, 7, 7) float32
    """The features of regions (R, 4), each from the map that fits its size; maps: (1, C, h, w), finest first.

    mmdet/models/roi_heads/roi_extractors/single_level_roi_extractor.py, RoIAlign with `aligned` and as many samples as
    a bin has pixels.
    """
    side = (regions[:, 2:] - regions[:, :2]).prod(1).sqrt()
    level = (side / FINEST_SIDE + 1e-6).log2().floor().clamp(0, len(maps) - 1)
    features = maps[0].new_empty((len(regions), maps[0].shape[1], ROI_SIZE, ROI_SIZE), dtype=torch.float32)
    for index, (each, stride) in enumerate(zip(maps, STRIDES)):
        mine = (level == index).nonzero()[:, 0]
        features[mine] = _aligned(each.float().contiguous(), regions[mine], 1 / stride)
    return features


def _aligned(level: Tensor, regions: Tensor, scale: float) -> Tensor:  # (R, C, 7, 7)
    """RoIAlign of one map (1, C, h, w), `scale` times as large as the regions' picture."""
    align = torchvision_ops().roi_align

    def part(some: Tensor) -> Tensor:
        return align(level, [some], ROI_SIZE, scale, sampling_ratio=0, aligned=True)

    if regions.device.type != "cpu" or len(regions) <= PIECE:
        return part(regions)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # torchvision's own kernel has but one
        return torch.cat(list(threads.map(part, regions.split(PIECE))))


def classify(
    logits: Tensor,  # (R, classes + 1), the background last
    deltas: Tensor,  # (R, 4 classes)
    regions: Tensor,  # (R, 4) in the network's input
    size: tuple[int, int],  # height, width of the picture there
    scale: tuple[float, float],  # the picture's width and height there, in those of the original
    *,
    threshold: float,
    iou_threshold: float,
    most: int,
) -> Boxes:
    """What the regions are, in pixels of the original (mmdet/models/layers/bbox_nms.py, multiclass_nms).

    threshold, iou_threshold, most: test_cfg.rcnn.
    """
    probabilities = logits.softmax(1)[:, :-1]  # without the background
    scales = torch.tensor((*scale, *scale), device=regions.device, dtype=regions.dtype)
    corners = moved(regions, deltas, size, ROI_DEVIATIONS) / scales
    region, classes = (probabilities > threshold).nonzero(as_tuple=True)
    corners, scores = corners[region, classes], probabilities[region, classes]
    kept = torchvision_ops().batched_nms(corners, scores, classes, iou_threshold)[:most]
    return Boxes(corners[kept], scores[kept], classes[kept])

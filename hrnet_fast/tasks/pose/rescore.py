"""What a person's score is made of."""

from __future__ import annotations

import torch
from torch import Tensor

IN_VIS_THRE = 0.2  # TEST.IN_VIS_THRE of experiments/coco/hrnet/*.yaml


def rescore(keypoint_scores: Tensor, box_scores: Tensor, threshold: float = IN_VIS_THRE) -> Tensor:
    """(N, K) and (N,) -> (N,): the mean of the keypoint scores above `threshold` (0 if none is), times the box's score.

    lib/dataset/coco.py, evaluate.
    """
    counted = keypoint_scores > threshold
    total = torch.where(counted, keypoint_scores, 0).sum(1)
    return total / counted.sum(1).clamp(min=1) * box_scores

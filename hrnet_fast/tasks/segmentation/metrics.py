"""Scores of label maps: one confusion matrix over all pictures, so memory does not grow with them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .classes import IGNORE


@dataclass(frozen=True)
class Scores:
    """In 0..1.

    mean_iou, pixel_accuracy, mean_accuracy: over all classes (see Confusion.scores). iou, accuracy: of each class; NaN
    if it occurs neither in the truth nor in the predictions (accuracy: not in the truth).
    """

    mean_iou: float
    pixel_accuracy: float
    mean_accuracy: float
    iou: Tensor  # (C,) float64
    accuracy: Tensor  # (C,) float64


class Confusion:
    """Counts of pixels by true and predicted class (get_confusion_matrix of lib/utils/utils.py).

    counts: (C, C) int64, row: truth, column: prediction.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, labels: Tensor, truth: Tensor) -> None:
        """Counts a picture, or a batch of them.

        labels, truth: uint8 of one shape; a truth of 255 is not counted. Raises ValueError for any other label that is
        no class.
        """
        if labels.shape != truth.shape:
            raise ValueError(f"the labels are {tuple(labels.shape)}, but the truth is {tuple(truth.shape)}")
        pairs = torch.bincount((truth.int() * 256).add_(labels).flatten(), minlength=256 * 256).view(256, 256).cpu()
        pairs[IGNORE] = 0
        if pairs.sum() != pairs[: self.classes, : self.classes].sum():
            wrong = (pairs.sum(1) + pairs.sum(0)).nonzero().flatten()
            raise ValueError(f"there is a label {int(wrong.max())}, but there are only {self.classes} classes")
        self.counts += pairs[: self.classes, : self.classes]

    def scores(self, absent: str = "skip") -> Scores:
        """IoU = TP / (TP + FP + FN) and accuracy = TP / (TP + FN), as testval of lib/core/function.py.

        absent: "skip" leaves classes that never occur out of the means, as the Cityscapes evaluator does; "zero" counts
            them as 0, as testval does. On the data sets' own validation sets every class occurs.
        Raises ValueError if nothing was counted.
        """
        if absent not in ("skip", "zero"):
            raise ValueError(f'absent {absent!r} is not known; give "skip" or "zero"')
        counts = self.counts.double()
        if not counts.sum() > 0:
            raise ValueError("no pixel was counted: the truth is empty, or all of it is to be ignored")
        hit, true, said = counts.diagonal(), counts.sum(1), counts.sum(0)
        iou, accuracy = hit / (true + said - hit), hit / true  # 0 / 0 is NaN: the class does not occur
        return Scores(
            mean_iou=mean(iou, absent),
            pixel_accuracy=float(hit.sum() / true.sum()),
            mean_accuracy=mean(accuracy, absent),
            iou=iou,
            accuracy=accuracy,
        )


def mean(values: Tensor, absent: str = "skip") -> float:
    """The mean, of which a NaN is no part ("skip") or which it enters as 0 ("zero"); NaN if nothing is left."""
    return float(values.nanmean() if absent == "skip" else values.nan_to_num(0.0).mean())

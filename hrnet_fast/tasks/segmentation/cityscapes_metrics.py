"""What the Cityscapes evaluator adds to mIoU: category IoU, and iIoU, in which every instance weighs the same.

cityscapesScripts: evaluation/evalPixelLevelSemanticLabeling.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .cityscapes_labels import CATEGORIES, LAST_ID, TRAINED
from .metrics import mean

_CATEGORY = torch.tensor([CATEGORIES.index(label.category) for label in TRAINED])
_INSTANCE_SIZE = torch.tensor([label.instance_size or torch.nan for label in TRAINED], dtype=torch.float64)
# Label id -> train id of the classes whose instances count; -1 for others, as caravans, and for what is no id.
_TRAIN_IDS = torch.full((LAST_ID + 2,), -1)
for _train_id, _label in enumerate(TRAINED):
    if _label.instance_size:
        _TRAIN_IDS[_label.id] = _train_id
# Categories all of whose classes have instances; void classes of a category (caravan, trailer) have them too.
_INSTANCE_CATEGORIES = tuple(
    category for category in CATEGORIES if all(label.instance_size for label in TRAINED if label.category == category)
)


@dataclass(frozen=True)
class CityscapesScores:
    """In 0..1, NaN if nothing of the kind occurs.

    instance_iou, category_iou, category_instance_iou: the means of by_class (iIoU), iou_by_category (IoU) and
    by_category (iIoU), which are by name.
    """

    instance_iou: float
    category_iou: float
    category_instance_iou: float
    by_class: dict[str, float]
    by_category: dict[str, float]
    iou_by_category: dict[str, float]


class InstanceCounts:
    """Pixels found and missed of each instance, weighted by the mean instance size of its class over its own size.

    An instance belongs to its class by the thousands of its number in an instanceIds image (26003 is a car), wherever
    its pixels lie; smaller numbers are groups and stuff, which have no instances.
    """

    def __init__(self) -> None:
        self.found = torch.zeros(len(TRAINED), dtype=torch.float64)
        self.missed = torch.zeros(len(TRAINED), dtype=torch.float64)
        self.found_category = torch.zeros(len(CATEGORIES), dtype=torch.float64)
        self.missed_category = torch.zeros(len(CATEGORIES), dtype=torch.float64)

    def add(self, labels: Tensor, instances: Tensor) -> None:
        """labels: (H, W) uint8 train ids as predicted; instances: (H, W) int32 as instanceIds images hold them."""
        if labels.shape != instances.shape:
            raise ValueError(f"the labels are {tuple(labels.shape)}, but the instances are {tuple(instances.shape)}")
        counted = instances > 1000
        numbers, index = instances[counted].unique(return_inverse=True)
        said = labels[counted].long()
        # (instances, 19): pixels of each instance that were given each class
        votes = torch.bincount(index * len(TRAINED) + said, minlength=len(numbers) * len(TRAINED))
        votes = votes.view(len(numbers), len(TRAINED)).cpu()
        train_ids = _TRAIN_IDS[(numbers // 1000).clamp(max=len(_TRAIN_IDS) - 1).cpu()]
        votes, train_ids = votes[train_ids >= 0], train_ids[train_ids >= 0]
        sizes, categories = votes.sum(1), _CATEGORY[train_ids]
        right = votes.gather(1, train_ids[:, None])[:, 0]
        alike = (votes * (categories[:, None] == _CATEGORY)).sum(1)
        weight = _INSTANCE_SIZE[train_ids] / sizes
        self.found.index_add_(0, train_ids, weight * right)
        self.missed.index_add_(0, train_ids, weight * (sizes - right))
        self.found_category.index_add_(0, categories, weight * alike)
        self.missed_category.index_add_(0, categories, weight * (sizes - alike))

    def scores(self, confusion: Tensor) -> CityscapesScores:
        """confusion: (19, 19) of the same pictures. False positives count plainly, since they belong to no instance."""
        confusion = confusion.double()
        false = confusion.sum(0) - confusion.diagonal()
        by_class = {
            label.name: float(found / (found + missed + wrong))
            for label, found, missed, wrong in zip(TRAINED, self.found, self.missed, false)
            if label.instance_size
        }
        merged = _merge(confusion)
        category_false = merged.sum(0) - merged.diagonal()
        iou = merged.diagonal() / (merged.sum(1) + category_false)
        weighted = self.found_category / (self.found_category + self.missed_category + category_false)
        by_category = {name: float(value) for name, value in zip(CATEGORIES, weighted) if name in _INSTANCE_CATEGORIES}
        return CityscapesScores(
            instance_iou=_mean(by_class),
            category_iou=mean(iou),
            category_instance_iou=_mean(by_category),
            by_class=by_class,
            by_category=by_category,
            iou_by_category=dict(zip(CATEGORIES, iou.tolist())),
        )


def _merge(confusion: Tensor) -> Tensor:
    """(19, 19) counts of classes to (7, 7) of categories."""
    rows = torch.zeros(len(CATEGORIES), len(TRAINED), dtype=confusion.dtype).index_add_(0, _CATEGORY, confusion)
    return torch.zeros(len(CATEGORIES), len(CATEGORIES), dtype=confusion.dtype).index_add_(1, _CATEGORY, rows)


def _mean(values: dict[str, float]) -> float:
    return mean(torch.tensor(list(values.values()), dtype=torch.float64))

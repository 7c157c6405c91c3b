"""Segmentation by the official tests of Cityscapes, PASCAL-Context and LIP: pictures in, label maps and mIoU out."""

from types import MappingProxyType

from .cityscapes import Cityscapes
from .cityscapes_metrics import InstanceCounts
from .classes import CITYSCAPES, LIP, PASCAL_CONTEXT59, PASCAL_CONTEXT60, ClassSet
from .dataset import LabelledPictures, Sample
from .draw import draw, draw_frame
from .estimator import Segmenter
from .evaluate import evaluate
from .lip import LookIntoPerson
from .metrics import Confusion
from .pascal_context import PascalContext, PascalContext60
from .results import Segmentation, to_json
from .save import save_labels

Estimator = Segmenter

DATASETS = MappingProxyType({
    "cityscapes": Cityscapes,
    "lip": LookIntoPerson,
    "pascal_context59": PascalContext,
    "pascal_context60": PascalContext60,
})  # fmt: skip

__all__ = [
    "CITYSCAPES",
    "DATASETS",
    "LIP",
    "PASCAL_CONTEXT59",
    "PASCAL_CONTEXT60",
    "Cityscapes",
    "ClassSet",
    "Confusion",
    "Estimator",
    "InstanceCounts",
    "LabelledPictures",
    "LookIntoPerson",
    "PascalContext",
    "PascalContext60",
    "Sample",
    "Segmentation",
    "Segmenter",
    "draw",
    "draw_frame",
    "evaluate",
    "save_labels",
    "to_json",
]

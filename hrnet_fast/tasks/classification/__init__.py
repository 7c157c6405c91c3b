"""Classification by the ImageNet protocol: pictures in, the likeliest classes out; top-1 and top-5."""

from .draw import draw
from .estimator import Classifier
from .evaluate import evaluate
from .imagenet import DATASETS, ImageNet
from .names import ClassName, read_class_names
from .results import Classification, to_json

Estimator = Classifier

__all__ = [
    "DATASETS",
    "ClassName",
    "Classification",
    "Classifier",
    "Estimator",
    "ImageNet",
    "draw",
    "evaluate",
    "read_class_names",
    "to_json",
]

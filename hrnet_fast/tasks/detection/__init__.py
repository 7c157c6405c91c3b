"""Object detection: pictures in, boxes out; COCO's AP."""

from types import MappingProxyType

from .classes import COCO
from .coco import CocoObjects
from .draw import draw
from .estimator import Detector
from .evaluate import evaluate
from .results import Detection, to_json

Estimator = Detector
DATASETS = MappingProxyType({"coco": CocoObjects})

__all__ = ["COCO", "DATASETS", "CocoObjects", "Detection", "Detector", "Estimator", "draw", "evaluate", "to_json"]

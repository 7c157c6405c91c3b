"""Pose estimation, top-down: pictures and person boxes in, keypoints out; COCO's AP and MPII's PCKh."""

from .coco import CocoKeypoints
from .detections import read_detections
from .detector import torchvision_detector
from .draw import draw
from .estimator import PoseEstimator
from .evaluate import evaluate
from .mpii import Mpii
from .results import Person, to_json
from .skeletons import COCO, MPII, Skeleton

Estimator = PoseEstimator
DATASETS = {"coco": CocoKeypoints, "mpii": Mpii}

__all__ = [
    "COCO",
    "DATASETS",
    "MPII",
    "CocoKeypoints",
    "Estimator",
    "Mpii",
    "Person",
    "PoseEstimator",
    "Skeleton",
    "draw",
    "evaluate",
    "read_detections",
    "to_json",
    "torchvision_detector",
]

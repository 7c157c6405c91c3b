"""Pose estimation, top-down: pictures and person boxes in, keypoints out; COCO's and CrowdPose's AP and MPII's PCKh."""

from types import MappingProxyType

from .coco import CocoKeypoints
from .crowdpose import CrowdPoseKeypoints
from .detections import read_detections
from .detector import torchvision_detector
from .draw import draw
from .estimator import PoseEstimator
from .evaluate import evaluate
from .mpii import Mpii
from .nms import oks, oks_nms, soft_oks_nms
from .results import Person, to_json
from .skeletons import COCO, CROWDPOSE, MPII, Skeleton

Estimator = PoseEstimator
DATASETS = MappingProxyType({"coco": CocoKeypoints, "mpii": Mpii, "crowdpose": CrowdPoseKeypoints})

__all__ = [
    "COCO",
    "CROWDPOSE",
    "DATASETS",
    "MPII",
    "CocoKeypoints",
    "CrowdPoseKeypoints",
    "Estimator",
    "Mpii",
    "Person",
    "PoseEstimator",
    "Skeleton",
    "draw",
    "evaluate",
    "oks",
    "oks_nms",
    "read_detections",
    "soft_oks_nms",
    "to_json",
    "torchvision_detector",
]

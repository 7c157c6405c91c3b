"""Pose estimation, bottom-up: pictures in, the keypoints of everyone in them out; COCO's and CrowdPose's AP."""

from types import MappingProxyType

from ..pose.coco import CocoPictures
from ..pose.crowdpose import CrowdPosePictures
from ..pose.draw import draw
from ..pose.results import Person, to_json
from ..pose.skeletons import COCO, CROWDPOSE, Skeleton
from .estimator import BottomUpPoseEstimator
from .evaluate import evaluate
from .grouping import Grouping

Estimator = BottomUpPoseEstimator
DATASETS = MappingProxyType({"coco": CocoPictures, "crowdpose": CrowdPosePictures})

__all__ = [
    "COCO",
    "CROWDPOSE",
    "DATASETS",
    "BottomUpPoseEstimator",
    "CocoPictures",
    "CrowdPosePictures",
    "Estimator",
    "Grouping",
    "Person",
    "Skeleton",
    "draw",
    "evaluate",
    "to_json",
]

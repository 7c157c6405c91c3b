"""Pose estimation, top-down: pictures and person boxes in, keypoints out; COCO's AP and MPII's PCKh."""

from .draw import draw
from .estimator import PoseEstimator
from .results import Person, to_json
from .skeletons import COCO, MPII, Skeleton

Estimator = PoseEstimator

__all__ = ["COCO", "MPII", "Estimator", "Person", "PoseEstimator", "Skeleton", "draw", "to_json"]

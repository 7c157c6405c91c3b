"""Facial landmarks: pictures and boxes of faces in, points out; NME, failure rate and AUC."""

from types import MappingProxyType

from .aflw import aflw
from .cofw import cofw
from .draw import draw
from .estimator import LandmarkEstimator
from .evaluate import evaluate
from .metrics import LandmarkScores
from .results import Face, to_json
from .samples import FaceDataset, FaceSample
from .schemes import SCHEMES, Scheme
from .w300 import w300
from .wflw import wflw

Estimator = LandmarkEstimator
DATASETS = MappingProxyType({"wflw": wflw, "300w": w300, "cofw": cofw, "aflw": aflw})

__all__ = [
    "DATASETS",
    "SCHEMES",
    "Estimator",
    "Face",
    "FaceDataset",
    "FaceSample",
    "LandmarkEstimator",
    "LandmarkScores",
    "Scheme",
    "aflw",
    "cofw",
    "draw",
    "evaluate",
    "to_json",
    "w300",
    "wflw",
]

"""Facial landmarks: pictures and boxes of faces in, points out; NME, failure rate and AUC."""

from types import MappingProxyType

from .aflw import open_aflw
from .cofw import open_cofw
from .draw import draw
from .estimator import LandmarkEstimator
from .evaluate import evaluate
from .metrics import LandmarkScores
from .results import Face, to_json
from .samples import FaceDataset, FaceSample
from .schemes import SCHEMES, Scheme
from .w300 import open_300w
from .wflw import open_wflw

Estimator = LandmarkEstimator
DATASETS = MappingProxyType({"wflw": open_wflw, "300w": open_300w, "cofw": open_cofw, "aflw": open_aflw})

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
    "draw",
    "evaluate",
    "open_300w",
    "open_aflw",
    "open_cofw",
    "open_wflw",
    "to_json",
]

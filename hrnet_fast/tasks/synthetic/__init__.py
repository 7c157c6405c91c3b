"""Data that exists everywhere: figures, faces and scenes on photographs, with annotations that are true of them."""

from .people import PersonTruth, figure_scene
from .photographs import background, describe_photographs
from .portraits import ATTRIBUTES, FaceTruth, face_scene
from .streets import StreetTruth, street_scene

__all__ = [
    "ATTRIBUTES",
    "FaceTruth",
    "PersonTruth",
    "StreetTruth",
    "background",
    "describe_photographs",
    "face_scene",
    "figure_scene",
    "street_scene",
]

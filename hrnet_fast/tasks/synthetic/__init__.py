"""Data that exists everywhere: figures, faces and scenes on photographs, with annotations that are true of them."""

from .people import PersonTruth, figure_scene
from .photographs import background, describe_photographs

__all__ = ["PersonTruth", "background", "describe_photographs", "figure_scene"]

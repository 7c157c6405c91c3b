"""hrnet_fast: any HRNet, as fast as the machine allows, with the same numbers."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public name -> the module that defines it; loaded at first use, so that importing the package stays cheap.
_PUBLIC = {
    "create_model": "models",
    "list_models": "models",
    "model_config": "models",
    "load_weights": "weights",
    "save_weights": "weights",
    "optimize": "api",
    "explain": "api",
    "verify": "api",
    "save": "saved",
    "load": "saved",
    "OptimizedModule": "engine",
    "Plan": "plan",
    "PoseEstimator": "tasks.pose",
    "BottomUpPoseEstimator": "tasks.bottom_up",
    "Segmenter": "tasks.segmentation",
    "LandmarkEstimator": "tasks.landmark",
    "Classifier": "tasks.classification",
    "Detector": "tasks.detection",
    "read_image": "tasks.images",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hrnet_fast' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hrnet_fast.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})

"""The packages of `hrnet_fast[tasks]`, asked for where they are used: each missing one is one sentence."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

# Module -> what needs it, and what it is called.
_USES = {
    "PIL.Image": ("pictures need", "Pillow"),
    "cv2": ("videos, drawn scenes and the pictures of LIP and PASCAL-Context need", "OpenCV"),
    "scipy.io": ("Matlab's files need", "SciPy"),
    "h5py": ("Matlab's files of version 7.3 need", "h5py"),
    "pycocotools.coco": ("COCO's AP needs", "pycocotools"),
    "torchvision.models.detection": ("detector='torchvision' needs", "torchvision"),
    "torchvision.ops": ("detection needs", "torchvision"),
}


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        uses, package = _USES[name]
        raise RuntimeError(f'{uses} {package}: pip install "hrnet_fast[tasks]"') from None


def pillow() -> ModuleType:
    """PIL.Image, or RuntimeError with one sentence that says how to get it; so for the others."""
    return _package("PIL.Image")


def opencv() -> ModuleType:
    """cv2."""
    # FFmpeg's own remarks on a damaged video (AV_LOG_QUIET) would stand beside our sentence.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return _package("cv2")


def scipy_io() -> ModuleType:
    """scipy.io."""
    return _package("scipy.io")


def h5py() -> ModuleType:
    """h5py."""
    return _package("h5py")


def coco_tools() -> ModuleType:
    """pycocotools.coco."""
    return _package("pycocotools.coco")


def torchvision_detection() -> ModuleType:
    """torchvision.models.detection."""
    return _package("torchvision.models.detection")


def torchvision_ops() -> ModuleType:
    """torchvision.ops."""
    return _package("torchvision.ops")

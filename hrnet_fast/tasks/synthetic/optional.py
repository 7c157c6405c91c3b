"""The packages of `hrnet_fast[tasks]` that the generator draws and writes with, asked for where they are used."""

import importlib
from types import ModuleType

_USES = {
    "cv2": ("drawing", "OpenCV"),
    "PIL.Image": ("pictures", "Pillow"),
    "scipy.io": ("Matlab's files", "SciPy"),
    "h5py": ("Matlab's files", "h5py"),
}


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        use, package = _USES[name]
        needs = "needs" if use == "drawing" else "need"
        raise RuntimeError(f'{use} {needs} {package}: pip install "hrnet_fast[tasks]"') from None


def opencv() -> ModuleType:
    """cv2, or RuntimeError with one sentence that says how to get it; so for the others."""
    return _package("cv2")


def pillow() -> ModuleType:
    """PIL.Image."""
    return _package("PIL.Image")


def scipy_io() -> ModuleType:
    """scipy.io."""
    return _package("scipy.io")


def h5py() -> ModuleType:
    """h5py."""
    return _package("h5py")

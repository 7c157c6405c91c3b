"""The one place where the generator asks for OpenCV."""

from types import ModuleType


def opencv() -> ModuleType:
    """OpenCV, or one sentence that says how to get it."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError('the generator draws with OpenCV: pip install "hrnet_fast[tasks]"') from error
    return cv2

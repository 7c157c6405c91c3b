"""Pictures from wherever they are, as uint8 RGB."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .optional import pillow

if TYPE_CHECKING:
    from PIL import Image


class Readable(Protocol):
    """A file that was opened in binary mode, or what reads as one."""

    def read(self) -> bytes: ...


# a path, an open file or its bytes, a PIL image, a uint8 array (H, W[, C]) or tensor (C, H, W), or these in `Stored`
Source: TypeAlias = (
    "str | os.PathLike[str] | Readable | bytes | bytearray | memoryview | Image.Image | np.ndarray | Tensor | Stored"
)

_BYTES = (bytes, bytearray, memoryview)
_ORIENTATION = 0x0112  # the EXIF tag (CIPA DC-008, 4.6.4)


class ImageError(ValueError):
    """A picture cannot be read; the message is one sentence that names it."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A picture whose pixels are taken as they lie in its file, whatever EXIF says of its orientation.

    The official loaders of COCO, MPII, ImageNet and the faces do so, and their annotations count these pixels.
    """

    source: Source


def read_image(source: Source) -> Tensor:
    """A picture as uint8 (H, W, 3) RGB, contiguous.

    source: a path; an open file, which is read from where it stands and wound back to there if it can be, or the bytes
        of one; a PIL image; a uint8 array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; or a uint8 tensor (1 or 3
        or 4, H, W) as torchvision's, which stays on its device.
    Grey is repeated, CMYK and palettes are converted, 16-bit grey keeps its high byte, alpha is dropped (as OpenCV's
    and so the official loaders do). An EXIF orientation is applied, unless the source is `Stored`. Of an animation it
    is the first frame.
    An array or tensor that already fits is not copied.
    Errors: FileNotFoundError; ImageError for files that are cut off, damaged or no pictures, and for shapes that do not
    fit; TypeError for other types and dtypes.
    """
    upright = not isinstance(source, Stored)
    if isinstance(source, Stored):
        source = source.source
    if isinstance(source, Tensor):
        return _from_tensor(source)
    if isinstance(source, np.ndarray):
        return _from_array(np.asarray(source))  # a matrix keeps two dimensions whatever is done to it
    if callable(getattr(source, "read", None)):
        return _from_file(io.BytesIO(_rest_of(source)), "the given file", upright)
    if isinstance(source, _BYTES):
        return _from_file(io.BytesIO(source), "the file of the given bytes", upright)
    if isinstance(source, (str, os.PathLike)):
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            raise ImageError(f"{source} is an address, and nothing is downloaded here: give the bytes or a file")
        path = Path(source)
        return _from_file(path, str(path), upright)
    from PIL import Image  # read_image's other sources need no Pillow

    if isinstance(source, Image.Image):
        return _from_pil(source, "the given PIL image", upright)
    raise TypeError(
        f"a picture must be a path, an open file or its bytes, a PIL image, a uint8 array (H, W, 3) or a uint8 tensor "
        f"(3, H, W), not {type(source).__name__}"
    )


def pictures_of(sources: Iterable[Source]) -> Iterable[Source]:
    """Several pictures, as they are. TypeError for a single one, whose letters or rows would be taken for pictures."""
    alone = (str, *_BYTES, os.PathLike)
    flat = hasattr(sources, "shape") and len(sources.shape) < 4
    flat = flat or callable(getattr(sources, "read", None))
    if isinstance(sources, alone) or flat or isinstance(getattr(sources, "mode", None), str):  # a tensor's is a method
        raise TypeError("batch takes a list of pictures; this is a single one, which the estimator itself takes")
    return sources


def _rest_of(file: Any) -> bytes | bytearray | memoryview:
    """What an open file still holds; one that can be wound back is, so that a second reader finds the same."""
    seekable = getattr(file, "seekable", None)
    place = file.tell() if callable(seekable) and seekable() else None
    try:
        data = file.read()
    except UnicodeDecodeError:  # most pictures are no text
        data = ""
    if place is not None:
        file.seek(place)
    if not isinstance(data, _BYTES):
        raise TypeError("the given file was opened as text, but a picture is bytes: open it with mode 'rb'")
    if not len(data):
        raise ImageError("the given file is empty from where it stands: wind it back to the beginning of the picture")
    return data


def _from_file(file: Path | io.BytesIO, name: str, upright: bool) -> Tensor:
    with _open(file, name) as image:
        return _from_pil(image, name, upright)


def _open(file: Path | io.BytesIO, name: str) -> Image.Image:
    pil = pillow()
    try:
        return pil.open(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no picture {name}") from None
    except pil.UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that Pillow can read, or it is damaged at its beginning") from None
    except pil.DecompressionBombError:
        raise ImageError(f"{name} claims to have more pixels than Pillow's Image.MAX_IMAGE_PIXELS allows") from None
    except Exception as error:  # Pillow's readers raise many kinds for a damaged file
        raise ImageError(f"{name} cannot be opened: {reason_of(error)}") from None


def _from_pil(image: Image.Image, name: str, upright: bool) -> Tensor:
    try:
        image.load()
    except Exception as error:
        raise ImageError(f"{name} is cut off or damaged: {reason_of(error)}") from None
    if min(image.size) < 1:
        raise ImageError(f"{name} has no pixels: its size is {image.width} x {image.height}")
    pixels = _pixels(image, name)
    return _upright(pixels, _orientation(image)) if upright else pixels


def _pixels(image: Image.Image, name: str) -> Tensor:
    """The loaded picture, as stored: uint8 (H, W, 3)."""
    if image.mode == "F":
        raise ImageError(f"{name} holds floating-point pixels, whose range is not known: convert it to 8 bits first")
    # Older Pillows have a 16-bit PNG so; all have a PGM of more than 8 bits so, stretched to 16
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _grey((np.array(image) >> 8).astype(np.uint8))
    if image.mode == "I":
        raise ImageError(f"{name} holds 32-bit pixels, whose range is not known: convert it to 8 bits first")
    if image.mode == "La":
        image = image.convert("LA")  # the only mode that Pillow converts it to
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the same colours; without this step Pillow warns
    return torch.from_numpy(np.array(image if image.mode == "RGB" else image.convert("RGB")))


def _orientation(image: Image.Image) -> int:
    """1 (upright) to 8; damaged EXIF data say nothing, so the pixels are taken as they lie."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: Tensor, orientation: int) -> Tensor:
    """Pixels as they are to be seen: orientations 5 to 8 are transposed, then rows and columns are reversed."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}[orientation]
    return pixels.flip(flips).contiguous()


def _from_array(array: np.ndarray) -> Tensor:
    if array.dtype != np.uint8:
        raise TypeError(f"an array of a picture must be uint8 (0 to 255), not {array.dtype}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or 0 in array.shape:
        raise ImageError(f"an array of a picture must be (H, W) or (H, W, 3), not {array.shape}")
    if array.ndim == 2 or array.shape[2] == 1:
        return _grey(array.reshape(array.shape[:2]))
    array = array[..., :3]
    if min(array.strides) < 0:  # a single row or column, turned round, counts as contiguous
        array = array.copy()
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _from_tensor(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.uint8:
        raise TypeError(f"a tensor of a picture must be torch.uint8 (0 to 255), not {tensor.dtype}")
    if tensor.is_meta or tensor.layout != torch.strided:
        raise ImageError("a tensor of a picture must hold its pixels: it is sparse or on the meta device")
    if tensor.dim() != 3 or tensor.shape[0] not in (1, 3, 4) or tensor.numel() == 0:
        raise ImageError(
            f"a tensor of a picture must be (3, H, W), as torchvision reads it, not {tuple(tensor.shape)}; "
            "give (H, W, 3) as an array"
        )
    return tensor[:3].permute(1, 2, 0).expand(-1, -1, 3).contiguous()


def _grey(values: np.ndarray) -> Tensor:
    """(H, W) -> (H, W, 3)."""
    return torch.from_numpy(np.repeat(values[..., None], 3, axis=2))


def reason_of(error: Exception) -> str:
    """A library's message as a part of a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0].rstrip(".")

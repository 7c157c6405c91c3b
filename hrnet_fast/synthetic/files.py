"""Files of a data set, each written whole or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from ..tasks.files import replacing
from ..tasks.optional import pillow

QUALITY = 92  # of JPEG pictures; fine enough that colours change by a few grey levels


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_text(path: Path, lines: list[str]) -> None:
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def write_json(path: Path, content: object) -> None:
    write_bytes(path, json.dumps(content, separators=(",", ":")).encode())


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """uint8 (H, W), (H, W, 3) or (H, W, 4), or uint16 (H, W): the format is that of the name (.jpg, .JPEG, .png)."""
    content = io.BytesIO()
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    options = {"format": "JPEG", "quality": QUALITY} if jpeg else {"format": "PNG", "compress_level": 4}
    pillow().fromarray(pixels).save(content, **options)
    write_bytes(path, content.getvalue())


def check_count(images: int) -> None:
    """ValueError unless there is something to write."""
    if images < 1:
        raise ValueError(f"images is {images}; a data set needs at least one")


def scene_seed(seed: int, index: int) -> int:
    """The seed of a data set's picture: data sets with neighbouring seeds share no picture."""
    return seed * 1_000_003 + index

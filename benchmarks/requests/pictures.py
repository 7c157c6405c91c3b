"""What a request is made of: the bytes of a photograph, and boxes of people in it."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image

from benchmarks.photo import original

QUALITY = 90  # of the JPEG


@cache
def jpeg(height: int, width: int) -> bytes:
    """The photograph, cropped around its middle to the wanted aspect and resized, as a JPEG."""
    image = original()
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    file = io.BytesIO()
    image.resize((width, height), Image.Resampling.BILINEAR, box=box).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def boxes(people: int, height: int, width: int) -> np.ndarray:
    """(people, 4) float64 x, y, width, height: as people stand in a picture of this size, some across its border."""
    rng = np.random.default_rng(0)
    tall = rng.uniform(0.3, 0.95, people) * height
    wide = tall * rng.uniform(0.3, 0.6, people)
    x = rng.uniform(-0.05, 1.0, people) * (width - wide)
    y = rng.uniform(-0.05, 1.0, people) * (height - tall)
    return np.stack([x, y, wide, tall], 1)

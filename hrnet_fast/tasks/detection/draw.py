"""Boxes on pictures."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images import Source, read_image
from ..optional import pillow
from .results import Detection

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_INK, _GOLDEN = (20, 20, 20), 0.618  # turns of the colour circle from one class to the next: all far apart


def draw(image: Source, result: Sequence[Detection], threshold: float = 0.3) -> Image.Image:
    """The picture with a box, a name and a score for each object, a colour for each class; RGB.

    image: whatever `read_image` takes. threshold: objects with lower scores are left out.
    """
    pil = pillow()
    from PIL import ImageDraw, ImageFont

    sheet = pil.fromarray(read_image(image).cpu().numpy())
    size = max(10, min(28, min(sheet.size) // 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size)
    for found in sorted(result, key=lambda found: found.score):  # the likeliest come last, above the others
        if found.score >= threshold:
            _draw_one(pen, font, found, max(2, size // 6))
    return sheet


def _draw_one(
    pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, found: Detection, width: int
) -> None:
    x, y, w, h = found.box
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(found.index * _GOLDEN % 1, 0.75, 0.95))
    pen.rectangle((x, y, max(x + w - 1, x), max(y + h - 1, y)), outline=colour, width=width)
    text = f"{found.label} {found.score:.2f}"
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font, anchor="lt")
    tall = bottom - top + 2 * width
    above = y - tall if y >= tall else y  # within the box where there is no room above it
    pen.rectangle((x, above, x + right - left + 2 * width, above + tall), fill=colour)
    pen.text((x + width, above + width), text, fill=_INK, font=font, anchor="lt")

"""A picture with its likeliest classes in a strip below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images import Source, read_image
from ..optional import pillow
from .results import Classification

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_INK, _PAPER, _BAR = (235, 235, 235), (28, 28, 32), (64, 120, 192)
_ROWS = 5


def draw(image: Source, result: Sequence[Classification]) -> Image.Image:
    """The picture, and below it up to five classes with their probability in figures and as a bar; RGB.

    image: whatever `read_image` takes. result: what the Classifier said of it.
    """
    pil = pillow()
    from PIL import ImageDraw, ImageFont

    pixels = read_image(image).cpu().numpy()
    height, width = pixels.shape[:2]
    size = max(10, min(28, width // 22))
    row, margin = round(1.6 * size), size // 2
    shown = result[:_ROWS]
    sheet = pil.new("RGB", (width, height + row * len(shown) + (margin if shown else 0)), _PAPER)
    sheet.paste(pil.fromarray(pixels), (0, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size)
    for position, entry in enumerate(shown):
        top = height + margin // 2 + position * row
        share = f"{100 * entry.probability:.1f} %"
        room = width - 3 * margin - pen.textlength(share, font=font)
        pen.rectangle((0, top + 1, round(width * entry.probability), top + row - 2), fill=_BAR)
        pen.text((margin, top + row / 2), _fitting(pen, entry.label, font, room), fill=_INK, font=font, anchor="lm")
        pen.text((width - margin, top + row / 2), share, fill=_INK, font=font, anchor="rm")
    return sheet


def _fitting(
    pen: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, room: float
) -> str:
    """The text, cut with an ellipsis if it is wider than `room` pixels."""
    if pen.textlength(text, font=font) <= room:
        return text
    while text and pen.textlength(f"{text}…", font=font) > room:
        text = text[:-1]
    return f"{text}…"

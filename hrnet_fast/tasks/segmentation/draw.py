"""A picture under its coloured labels, with a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..images import Source, read_image
from ..optional import pillow
from .results import Segmentation

if TYPE_CHECKING:
    from PIL import Image

_INK, _PAPER = (235, 235, 235), (28, 28, 32)
_MOST = 10  # classes in the legend


def draw(
    image: Source, result: Segmentation, *, opacity: float = 0.6, legend: bool = True, steady: bool = False
) -> Image.Image:
    """The picture with the labels' colours over it, dark lines where classes meet, and a legend below; RGB.

    image: whatever `read_image` takes, of the size of `result`. opacity: 0 (the picture alone) to 1 (the mask alone).
    legend: the largest classes, up to ten, with their share of the picture. steady: it is as high as any ten classes
        may need, so that the frames of a video, whose classes come and go, have one size.
    Errors: ValueError if the picture is not of the labels' size; those of `read_image`.
    """
    pixels = read_image(image).cpu()
    if tuple(pixels.shape[:2]) != result.size:
        raise ValueError(f"the picture is {tuple(pixels.shape[:2])}, but its labels are {result.size}")
    blended = torch.lerp(pixels.float(), result.mask().cpu().float(), opacity)
    labels = result.labels.cpu()
    edge = torch.zeros_like(labels, dtype=torch.bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    blended[edge] *= 1 - 0.6 * opacity
    picture = pillow().fromarray(blended.round_().to(torch.uint8).numpy())
    return _with_legend(picture, result, steady) if legend else picture


def draw_frame(image: Source, result: Segmentation) -> Image.Image:
    """A frame of a video: `draw`, steady."""
    return draw(image, result, steady=True)


def _with_legend(picture: Image.Image, result: Segmentation, steady: bool) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFont

    size = max(10, min(24, picture.width // 40))
    font, gap, row = ImageFont.load_default(size), size // 2, round(1.6 * size)
    colours = dict(zip(result.class_names, result.palette))
    places, x, y = [], gap, gap

    def width_of(text: str) -> int:
        return round(font.getlength(text)) + 3 * gap + size

    for name, pixels in list(result.areas().items())[:_MOST]:
        share = round(100 * pixels / result.labels.numel())
        text = f"{name} {share} %" if share else f"{name} < 1 %"
        width = width_of(text)
        if x > gap and x + width > picture.width:
            x, y = gap, y + row
        places.append((x, y, name, text))
        x += width
    if steady:
        widest = max(width_of(f"{name} {share}") for name in result.class_names for share in ("100 %", "< 1 %"))
        a_row = max(1, (picture.width - gap) // widest)
        y = gap + row * (-(-min(_MOST, len(colours)) // a_row) - 1)
    sheet = Image.new("RGB", (picture.width, picture.height + y + row), _PAPER)
    sheet.paste(picture, (0, 0))
    pen = ImageDraw.Draw(sheet)
    for x, y, name, text in places:
        top = picture.height + y
        pen.rectangle((x, top, x + size, top + size), fill=colours[name], outline=_INK)
        pen.text((x + size + gap, top + size / 2), text, fill=_INK, font=font, anchor="lm")
    return sheet

"""Points and contours on a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..boxes import GIVEN
from ..images import Source, read_image
from ..optional import pillow
from .results import Face

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_COLOURS = {
    "contour": (64, 196, 255), "brows": (255, 176, 32), "nose": (120, 230, 100), "eyes": (255, 96, 160),
    "mouth": (255, 84, 64),
}  # fmt: skip
_PLAIN = (64, 196, 255)
_FINER = 4  # strokes are drawn so many times larger, then averaged, which smooths their edges,
_SMOOTH_PIXELS = 16_000_000  # as long as that makes no more pixels than these, each of some 8 bytes


def draw(image: Source, faces: Sequence[Face], *, boxes: bool = False) -> Image.Image:
    """The picture with each face's points, joined by the lines of their scheme; RGB, of the picture's size.

    image: whatever `read_image` takes. faces: what the estimator found in it. boxes: also draws the boxes given.
    Points of a number that no data set has are drawn without lines.
    """
    canvas = pillow().fromarray(read_image(image).cpu().numpy())
    for face in faces:
        _draw_face(canvas, face, boxes)
    return canvas


def _draw_face(canvas: Image.Image, face: Face, box: bool) -> None:
    """Draws on a transparent piece around the face, which is then laid over the picture."""
    from PIL import Image, ImageDraw

    points = face.points.double()
    if not bool(points.isfinite().all()):
        return
    low, high = points.amin(0), points.amax(0)
    radius = min(6.0, max(1.0, float((high - low).max()) / 110))
    x, y, w, h = face.box
    edges = [*low.tolist(), *high.tolist()]
    box = box and face.box_source == GIVEN
    if box:
        edges = [min(edges[0], x), min(edges[1], y), max(edges[2], x + w), max(edges[3], y + h)]
    margin = 3 * radius + 2
    left, top = (max(0, int(edge - margin)) for edge in edges[:2])
    right, bottom = (min(side, int(edge + margin) + 1) for edge, side in zip(edges[2:], canvas.size))
    if right <= left or bottom <= top:
        return
    finer = _finer((right - left) * (bottom - top))
    piece = Image.new("RGBA", (finer * (right - left), finer * (bottom - top)))
    pen = ImageDraw.Draw(piece)
    thick = max(1, round(finer * radius * 0.7))
    if box:
        # Cut where nothing shows: Pillow would walk along every pixel of a side
        x1, x2 = (min(max(finer * (edge - left), -2 * thick), piece.width + 2 * thick) for edge in (x, x + w))
        y1, y2 = (min(max(finer * (edge - top), -2 * thick), piece.height + 2 * thick) for edge in (y, y + h))
        pen.rectangle((x1, y1, x2, y2), outline=(255, 255, 255, 200), width=thick)
    at = [(finer * (px + 0.5 - left), finer * (py + 0.5 - top)) for px, py in points.tolist()]
    _draw_points(pen, face, at, finer * radius, thick)
    canvas.paste(flat := piece.reduce(finer), (left, top), flat)


def _finer(pixels: int) -> int:
    """How many times larger a piece of so many pixels is drawn."""
    return next((factor for factor in (_FINER, 2) if factor**2 * pixels <= _SMOOTH_PIXELS), 1)


def _draw_points(
    pen: ImageDraw.ImageDraw, face: Face, at: Sequence[tuple[float, float]], reach: float, thick: int
) -> None:
    """at: the face's points on the piece. reach: the radius of their dots. thick: the width of the lines."""
    colours = [_PLAIN] * len(at)
    for part, lines in face.scheme.lines.items() if face.scheme else ():
        for line in lines:
            pen.line([at[k] for k in line], fill=(*_COLOURS[part], 190), width=thick, joint="curve")
            for k in line:
                colours[k] = _COLOURS[part]
    for (px, py), colour in zip(at, colours):
        pen.ellipse((px - reach, py - reach, px + reach, py + reach), fill=(*colour, 255))

"""Points and contours on a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..boxes import GIVEN
from ..images import Source, read_image
from ..optional import pillow
from .results import Face

if TYPE_CHECKING:
    from PIL import Image

_COLOURS = {
    "contour": (64, 196, 255), "brows": (255, 176, 32), "nose": (120, 230, 100), "eyes": (255, 96, 160),
    "mouth": (255, 84, 64),
}  # fmt: skip
_PLAIN = (64, 196, 255)
_FINER = 4  # strokes are drawn so many times larger, then averaged, which smooths their edges


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
    extent = float((high - low).max())
    radius = min(6.0, max(1.0, extent / 110))
    x, y, w, h = face.box
    edges = [*low.tolist(), *high.tolist()]
    if box and face.box_source == GIVEN:
        edges = [min(edges[0], x), min(edges[1], y), max(edges[2], x + w), max(edges[3], y + h)]
    margin = 3 * radius + 2
    left, top = (max(0, int(edge - margin)) for edge in edges[:2])
    right, bottom = (min(side, int(edge + margin) + 1) for edge, side in zip(edges[2:], canvas.size))
    if right <= left or bottom <= top:
        return
    piece = Image.new("RGBA", (_FINER * (right - left), _FINER * (bottom - top)))
    pen = ImageDraw.Draw(piece)
    at = [(_FINER * (px + 0.5 - left), _FINER * (py + 0.5 - top)) for px, py in points.tolist()]
    thick = max(1, round(_FINER * radius * 0.7))
    if box and face.box_source == GIVEN:
        corners = [(_FINER * (cx - left), _FINER * (cy - top)) for cx, cy in ((x, y), (x + w, y + h))]
        pen.rectangle(corners, outline=(255, 255, 255, 200), width=thick)
    parts = face.scheme.lines.items() if face.scheme else ()
    colours = [_PLAIN] * len(at)
    for part, lines in parts:
        for line in lines:
            pen.line([at[k] for k in line], fill=(*_COLOURS[part], 190), width=thick, joint="curve")
            for k in line:
                colours[k] = _COLOURS[part]
    reach = _FINER * radius
    for (px, py), colour in zip(at, colours):
        pen.ellipse((px - reach, py - reach, px + reach, py + reach), fill=(*colour, 255))
    canvas.paste(flat := piece.reduce(_FINER), (left, top), flat)

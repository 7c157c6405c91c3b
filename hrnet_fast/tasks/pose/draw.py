"""Skeletons on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images import Source, read_image
from ..optional import pillow
from .results import Person

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_LEFT, _RIGHT, _MIDDLE, _EDGE = (255, 149, 5), (30, 150, 255), (90, 220, 100), (20, 20, 20)
_SMOOTH_PIXELS = 4_000_000  # pictures up to this size are drawn twice as large and reduced, for smooth edges


def draw(image: Source, people: Sequence[Person], threshold: float = 0.2) -> Image.Image:
    """The picture with its people's skeletons: orange for their left, blue for their right, green for the middle.

    image: whatever `read_image` takes. threshold: keypoints with lower scores are left out, and limbs that end there.
    """
    pil = pillow()
    from PIL import ImageDraw

    picture = pil.fromarray(read_image(image).cpu().numpy())
    factor = 2 if picture.width * picture.height <= _SMOOTH_PIXELS else 1
    large = picture.resize((picture.width * factor, picture.height * factor), pil.Resampling.NEAREST)
    pen = ImageDraw.Draw(large)
    for person in sorted(people, key=lambda person: person.box[3]):  # the nearest, who are largest, come last
        _draw_person(pen, person, factor, threshold)
    return large.reduce(factor)


def _draw_person(pen: ImageDraw.ImageDraw, person: Person, factor: int, threshold: float) -> None:
    names = person.skeleton.keypoints
    points = ((person.keypoints.double() + 0.5) * factor).tolist()
    seen = (person.scores > threshold).tolist()
    width = factor * min(max(max(person.box[2:]) / 90, 1.5), 8)
    limbs = [link for link in person.skeleton.links if seen[link[0]] and seen[link[1]]]
    for a, b in limbs:
        pen.line((*points[a], *points[b]), fill=_EDGE, width=round(width + factor))
    for a, b in limbs:
        pen.line((*points[a], *points[b]), fill=_colour(names[a], names[b]), width=round(width))
    for (x, y), name in (pair for pair, shown in zip(zip(points, names), seen) if shown):
        pen.circle((x, y), width, fill=_colour(name), outline=_EDGE, width=max(1, factor // 2))


def _colour(*names: str) -> tuple[int, int, int]:
    """A side's colour if all that is joined belongs to it."""
    sides = {name.partition("_")[0] for name in names}
    return _LEFT if sides == {"left"} else _RIGHT if sides == {"right"} else _MIDDLE

"""Pictures with a label for each pixel: people's parts as LIP has them, and scenes as PASCAL-Context has them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from .body import random_pose
from .canvas import Canvas
from .figure import draw_figure
from .outdoors import draw_outdoors
from .outfits import random_outfit
from .photographs import background
from .rooms import draw_room
from .streets import draw_street

# What streets have, as PASCAL-Context names it; the rest of the names are the same, or background.
_STREET = {
    "vegetation": "tree", "terrain": "grass", "rider": "person", "persongroup": "person", "motorcycle": "motorbike",
    "traffic light": "light", "traffic sign": "sign", "parking": "ground", "caravan": "car", "trailer": "truck",
}  # fmt: skip
PLACES = {"street": draw_street, "outdoors": draw_outdoors, "room": draw_room}


def parsing_scene(
    seed: int, size: tuple[int, int] = (320, 200), photographs: str | Path | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One person before a photograph: the picture, uint8 (H, W, 3) RGB, and LIP's label of each pixel, uint8 (H, W).

    Left and right are the person's own, as in LIP.
    """
    rng = random.Random(f"parsing {seed}")
    canvas = Canvas(background(rng, size, photographs))
    height, width = size
    stature = min(0.86 * height, 1.35 * width) * rng.uniform(0.9, 1.15)
    foot = (width * rng.uniform(0.44, 0.56), min(0.97 * height, 0.5 * height + 0.56 * stature))
    draw_figure(canvas, random_pose(rng), random_outfit(rng), foot, stature)
    return canvas.picture(), canvas.part.copy()


def place_scene(
    seed: int,
    size: tuple[int, int] = (320, 480),
    photographs: str | Path | None = None,
    place: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A street, a landscape or a room: the picture, uint8 (H, W, 3) RGB, and labels, uint8 (H, W).

    The labels are PASCAL-Context's: 0 background, and 1 to 59 its classes. place: a name of PLACES; None takes them in
    turn by seed.
    """
    from ..tasks.segmentation.classes import PASCAL_CONTEXT60  # here, since it needs torch and nothing else here does

    if place is not None and place not in PLACES:
        raise ValueError(f"there is no place {place!r}; choose one of {', '.join(PLACES)}")
    canvas = PLACES[place or list(PLACES)[seed % len(PLACES)]](seed, size, photographs)
    names = {name: label for label, name in enumerate(PASCAL_CONTEXT60.names)}
    kinds = {thing.kind for thing in canvas.things}
    return canvas.picture(), canvas.labels({kind: names.get(_STREET.get(kind, kind), 0) for kind in kinds})

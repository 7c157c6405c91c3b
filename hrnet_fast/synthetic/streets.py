"""Street scenes with the labels and instances of Cityscapes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..tasks.optional import opencv
from .canvas import Canvas, Colour
from .figure import draw_figure
from .outfits import random_outfit
from .photographs import background, noise
from .props import LEAVES, bush, foliage, lamp_post, tree
from .vehicles import standing_pose, two_wheeler, vehicle
from .view import View, block, cells, tone

# cityscapesScripts, helpers/labels.py: the ids of all classes that are drawn here.
LABEL_IDS = {
    "ego vehicle": 1, "out of roi": 3, "static": 4, "ground": 6, "road": 7, "sidewalk": 8, "parking": 9, "building": 11,
    "wall": 12, "fence": 13, "pole": 17, "traffic light": 19, "traffic sign": 20, "vegetation": 21, "terrain": 22,
    "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "caravan": 29, "trailer": 30, "train": 31,
    "motorcycle": 32, "bicycle": 33, "persongroup": 24,
}  # fmt: skip
WITH_INSTANCES = frozenset(range(24, 34))
FACADES = ((176, 150, 120), (150, 90, 72), (200, 190, 168), (128, 134, 142), (186, 168, 130), (110, 98, 96))


@dataclass(frozen=True)
class StreetTruth:
    """label_ids: uint8 (H, W), Cityscapes' ids. instance_ids: uint16 (H, W), id * 1000 + k for the k-th instance of a
    class that has instances, else the id; people too close together to tell apart (persongroup) have the id too."""

    label_ids: np.ndarray
    instance_ids: np.ndarray


def street_scene(
    seed: int, size: tuple[int, int] = (256, 512), photographs: str | Path | None = None
) -> tuple[np.ndarray, StreetTruth]:
    """A street: the picture, uint8 (H, W, 3) RGB, and its labels.

    seed: the same seed gives the same picture; size: (H, W); photographs: as `background` takes it, for the sky.
    """
    canvas = draw_street(seed, size, photographs)
    height, width = size
    owner = canvas.add("ego vehicle")
    canvas.ellipse((width / 2, height * 1.06), (0.42 * width, 0.16 * height), (46, 48, 54), owner, shaded=True)
    border = canvas.add("out of roi")
    thick = max(1, width // 400)
    for edge in (slice(0, thick), slice(-thick, None)):
        canvas.owner[:, edge] = border
        canvas.image[:, edge] = 0
    return canvas.picture(), StreetTruth(canvas.labels(LABEL_IDS), _instances(canvas))


def _instances(canvas: Canvas) -> np.ndarray:
    table, counts = [0], dict.fromkeys(WITH_INSTANCES, 0)
    seen = set(np.unique(canvas.owner).tolist())
    for thing in canvas.things:
        value = LABEL_IDS[thing.kind]
        if value in WITH_INSTANCES and thing.kind != "persongroup" and thing.number in seen:
            counts[value] += 1
            value = value * 1000 + counts[value] - 1
        table.append(value)
    return np.array(table, np.uint16)[canvas.owner]


def draw_street(seed: int, size: tuple[int, int], photographs: str | Path | None = None) -> Canvas:
    """The scene as a canvas, whose things have the names of LABEL_IDS."""
    rng = random.Random(f"street {seed}")
    height, width = size
    canvas = Canvas(np.zeros((height, width, 3), np.float32))
    view = View(0.55 * width, height * rng.uniform(0.40, 0.48), width * rng.uniform(0.44, 0.56), 1.5)
    _sky(canvas, rng, view, background(rng, size, photographs))
    _ground(canvas, rng, view)
    for _, paint in sorted(_plan(canvas, rng, view), key=lambda item: -item[0]):
        paint()
    _haze(canvas, view)
    return canvas


def _sky(canvas: Canvas, rng: random.Random, view: View, photograph: np.ndarray) -> None:
    height, width = canvas.size
    canvas.owner[:] = canvas.add("sky")
    zenith, low = rng.choice((((92, 140, 205), (196, 214, 232)), ((120, 140, 165), (214, 210, 204))))
    t = np.minimum(1, np.linspace(0, 2, height, dtype=np.float32))[:, None]
    cloud = np.clip(1.8 * noise(rng.randrange(2**31), (height, width), coarse=3) - 0.75, 0, 0.8)
    for channel, (high, deep) in enumerate(zip(zenith, low)):
        plane = np.float32(high) + np.float32(deep - high) * t
        plane = plane + cloud * (245 - plane)
        canvas.planes[channel] = plane + 0.06 * (photograph[..., channel].astype(np.float32) - 128)
    owner = canvas.add("vegetation")
    for x in np.linspace(-0.02 * width, 1.02 * width, 12):
        radius = width * rng.uniform(0.03, 0.06)
        foliage(canvas, rng, owner, (x, view.horizon), radius, tone(rng.choice(LEAVES), 0.9))


def _ground(canvas: Canvas, rng: random.Random, view: View) -> None:
    """Road with its markings, pavements, and grass or paving beyond."""
    height, width = canvas.size
    far, near = 400.0, 1.0
    grain = 0.90 + 0.2 * noise(rng.randrange(2**31), (height, width), coarse=9)
    for kind, colour, inner, outer in (
        (rng.choice(("terrain", "terrain", "parking", "ground")), (104, 122, 70), 8.0, 60.0),
        ("sidewalk", (168, 162, 156), 5.2, 8.2),
    ):
        colour = (134, 130, 128) if kind in ("parking", "ground") else colour
        owner, texture = canvas.add(kind), _tinted(colour, grain)
        for side in (-1, 1):
            strip = view.ground([(side * inner, near), (side * outer, near), (side * outer, far), (side * inner, far)])
            canvas.polygon(strip, texture, owner)
    road = view.ground([(-5.2, near), (5.2, near), (5.2, far), (-5.2, far)])
    canvas.polygon(road, _tinted((96, 96, 100), grain), canvas.add("road"))
    places = np.arange(3.0, 60.0, 5.5).tolist()
    dashes = [view.ground([(-0.08, d), (0.08, d), (0.08, d + 2.2), (-0.08, d + 2.2)]) for d in places]
    kerbs = [view.ground([(s * 5.1, near), (s * 5.3, near), (s * 5.3, far), (s * 5.1, far)]) for s in (-1, 1)]
    canvas.polygons(dashes, (226, 224, 216), opacity=0.9)
    canvas.polygons(kerbs, (196, 192, 186))


def _plan(canvas: Canvas, rng: random.Random, view: View) -> list[tuple[float, Callable[[], object]]]:
    """Everything that stands on the ground: (distance in metres, how to paint it)."""
    plan: list[tuple[float, Callable[[], object]]] = []

    def put(distance: float, paint: Callable[..., object]) -> None:
        # Each thing draws from its own generator, so that its looks do not hang on the order of painting.
        own = random.Random(rng.randrange(2**31))
        plan.append((distance, lambda: paint(own)))

    for side in (-1, 1):
        _side(rng, put, canvas, view, side)
    kinds = ["car"] * 5 + ["truck", "bus", "caravan", "trailer", "train"]
    for lane in (-2.6, 2.6):
        distance = rng.uniform(9, 18)
        while distance < 70:
            kind = rng.choice(kinds)
            put(distance, lambda own, k=kind, x=lane, d=distance: vehicle(canvas, own, view, k, x, d))
            distance += rng.uniform(11, 26) + (18 if kind == "train" else 0)
    for _ in range(rng.randrange(1, 3)):
        kind, distance = rng.choice(("bicycle", "motorcycle")), rng.uniform(6, 14)
        x, ridden = rng.uniform(-4.4, 4.4), rng.random() < 0.75
        put(distance, lambda own, k=kind, d=distance, x=x, r=ridden: two_wheeler(
            canvas, own, k, view.at(x, 0, d), view.scale(d), r))  # fmt: skip
    return plan


def _side(rng: random.Random, put: Callable[..., None], canvas: Canvas, view: View, side: int) -> None:
    """One side of the street: houses, walls or fences, trees, poles, people."""
    distance = rng.uniform(7, 12)
    while distance < 90:
        long = rng.uniform(8, 16)
        if rng.random() < 0.85:
            put(distance + 0.5 * long, lambda own, d=distance, n=long: _house(canvas, own, view, side, d, d + n))
        else:
            put(
                distance,
                lambda own, d=distance: tree(canvas, own, "vegetation", view.at(side * 12, 0, d), 7 * view.scale(d)),
            )
        distance += long + rng.choice((0.0, 0.0, 4.0))
    if rng.random() < 0.6:
        kind, low, long = rng.choice(("wall", "fence")), rng.uniform(6, 20), rng.uniform(12, 30)
        put(low + 4, lambda own: _barrier(canvas, own, view, kind, side, low, low + long))
    place = rng.uniform(7, 21)
    while place < 60:
        put(place, lambda own, d=place: lamp_post(canvas, own, view.at(side * 5.7, 0, d), view.scale(d)))
        place += rng.uniform(8, 20)
    for _ in range(rng.randrange(0, 3)):
        d = rng.uniform(9, 45)
        put(d, lambda own, d=d: _street_tree(canvas, own, view, side, d))
    for _ in range(rng.randrange(1, 4)):
        d, x = rng.uniform(5.5, 30), side * rng.uniform(5.8, 7.8)
        put(d, lambda own, d=d, x=x: draw_figure(
            canvas, standing_pose(own), random_outfit(own), view.at(x, 0, d), 1.7 * view.scale(d)))  # fmt: skip
    if rng.random() < 0.3:
        d = rng.uniform(35, 60)
        put(d, lambda own, d=d: _group(canvas, own, view, side, d))
    if rng.random() < 0.5:
        d = rng.uniform(8, 25)
        put(d, lambda own, d=d: bush(canvas, own, "vegetation", view.at(side * 8.8, 0, d), 1.8 * view.scale(d)))
    if rng.random() < 0.4:
        d, x = rng.uniform(8, 22), side * 7.9
        put(d, lambda own, d=d, x=x: block(
            canvas, view, canvas.add("static"), (70, 92, 80), (x - 0.4, x + 0.4), (0, 1.1), (d, d + 0.8)))  # fmt: skip


def _street_tree(canvas: Canvas, rng: random.Random, view: View, side: int, distance: float) -> None:
    height = rng.uniform(4.5, 6.5) * view.scale(distance)
    tree(canvas, rng, "vegetation", view.at(side * 7.6, 0, distance), height)


def _house(canvas: Canvas, rng: random.Random, view: View, side: int, near: float, far: float) -> None:
    edge, high = side * rng.uniform(8.8, 10.0), rng.uniform(6, 14)
    colour, owner = rng.choice(FACADES), canvas.add("building")
    outer = edge + side * 10
    block(canvas, view, owner, colour, (min(edge, outer), max(edge, outer)), (0, high), (near, far))
    wall = [view.at(edge, 0.4, near), view.at(edge, 0.4, far), view.at(edge, high, far), view.at(edge, high, near)]
    floors, columns = max(1, int(high / 3)), max(1, int((far - near) / 2.6))
    canvas.polygons(cells(wall, columns, floors, 0.25), rng.choice(((58, 70, 86), (84, 84, 80))), owner)
    front = [view.at(min(edge, outer), 0.4, near), view.at(max(edge, outer), 0.4, near)]
    front += [view.at(max(edge, outer), high, near), view.at(min(edge, outer), high, near)]
    canvas.polygons(cells(front, 4, floors, 0.28), (70, 82, 98), owner)


def _barrier(canvas: Canvas, rng: random.Random, view: View, kind: str, side: int, near: float, far: float) -> None:
    owner, x, high = canvas.add(kind), side * 8.4, rng.uniform(1.1, 1.9)
    face = [view.at(x, 0, near), view.at(x, 0, far), view.at(x, high, far), view.at(x, high, near)]
    if kind == "wall":
        canvas.polygon(face, (150, 138, 130), owner)
        canvas.polygons(cells(face, 10, 4, 0.06), (134, 118, 110), owner)
    else:
        canvas.polygons(cells(face, max(6, int((far - near) * 2)), 1, 0.2), (140, 112, 84), owner)
        for low in (0.25, 0.75):
            rail = [view.at(x, low * high, near), view.at(x, low * high, far)]
            rail += [view.at(x, (low + 0.1) * high, far), view.at(x, (low + 0.1) * high, near)]
            canvas.polygon(rail, (120, 94, 70), owner)


def _group(canvas: Canvas, rng: random.Random, view: View, side: int, distance: float) -> None:
    """People who stand so close together that Cityscapes labels them as a group."""
    for person in range(5):
        foot = view.at(side * 6.0 + 0.45 * person, 0, distance)
        stature = rng.uniform(1.55, 1.8) * view.scale(distance)
        draw_figure(canvas, standing_pose(rng), random_outfit(rng), foot, stature, kind="persongroup", shadow=False)


def _haze(canvas: Canvas, view: View) -> None:
    """Air between the camera and the horizon, and the softness of a lens."""
    height = canvas.size[0]
    away = np.abs(np.arange(height, dtype=np.float32) - view.horizon) / (0.12 * height)
    veil = 0.22 * np.exp(-(away**2))[:, None]
    for plane, value in zip(canvas.planes, (206, 212, 220)):
        plane += veil * (value - plane)
        plane[:] = opencv().GaussianBlur(np.clip(plane, 0, 255), (0, 0), 0.45)


def _tinted(colour: Colour, grain: np.ndarray) -> np.ndarray:
    """Planes (3, H, W) of a colour with a grain (H, W)."""
    return np.stack([np.float32(value) * grain for value in colour])

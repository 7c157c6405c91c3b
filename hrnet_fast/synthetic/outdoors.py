"""Country: sky and mountains, water, meadows or snow, animals and people; things have the names of PASCAL-Context."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .canvas import Canvas, Colour, Point
from .figure import draw_figure
from .outfits import CLOTH, random_outfit
from .photographs import background, noise
from .props import animal, bush, tree
from .vehicles import standing_pose, vehicle
from .view import View, block, cells, tone

# Metres to an animal's shoulder.
ANIMALS = {"cow": 1.4, "horse": 1.6, "sheep": 0.8, "dog": 0.6, "cat": 0.3}


def draw_outdoors(seed: int, size: tuple[int, int], photographs: str | Path | None = None) -> Canvas:
    """A landscape; the same seed gives the same picture; size: (H, W)."""
    rng = random.Random(f"outdoors {seed}")
    height, width = size
    canvas = Canvas(np.zeros((height, width, 3), np.float32))
    view = View(0.9 * width, height * rng.uniform(0.36, 0.46), width / 2, 1.7)
    _sky(canvas, rng, view, background(rng, size, photographs))
    _land(canvas, rng, view)
    plan = _plan(canvas, rng, view)
    for _, paint in sorted(plan, key=lambda item: -item[0]):
        paint()
    return canvas


def _sky(canvas: Canvas, rng: random.Random, view: View, photograph: np.ndarray) -> None:
    height, width = canvas.size
    canvas.owner[:] = canvas.add("sky")
    t = np.minimum(1, np.linspace(0, 2, height, dtype=np.float32))[:, None]
    cloud = np.clip(1.7 * noise(rng.randrange(2**31), (height, width), coarse=3) - 0.7, 0, 0.85)
    for channel, (high, low) in enumerate(zip((82, 134, 208), (206, 220, 234))):
        plane = high + (low - high) * t
        canvas.planes[channel] = plane + cloud * (246 - plane) + 0.05 * (photograph[..., channel] - np.float32(128))
    if rng.random() < 0.7:
        peaks = [rng.random() for _ in range(13)]
        xs = [width * step / 48 for step in range(49)]
        ridge = [
            height * (0.06 + 0.16 * (peaks[k // 4] * (1 - k % 4 / 4) + peaks[-(-k // 4)] * (k % 4 / 4)))
            for k in range(49)
        ]
        owner = canvas.add("mountain")
        for share, colour in ((1.0, (128, 138, 158)), (0.62, (104, 120, 122))):
            edge = [(x, view.horizon - share * up - 0.012 * height * rng.random()) for x, up in zip(xs, ridge)]
            canvas.polygon([(0, view.horizon + 2), *edge, (width, view.horizon + 2)], colour, owner)
    if rng.random() < 0.4:
        _aeroplane(canvas, rng, (width * rng.uniform(0.2, 0.8), height * rng.uniform(0.08, 0.2)), width * 0.09)
    for _ in range(rng.randrange(0, 4)):
        _bird(canvas, (width * rng.random(), view.horizon * rng.uniform(0.2, 0.8)), width * rng.uniform(0.012, 0.03))


def _land(canvas: Canvas, rng: random.Random, view: View) -> None:
    height, width = canvas.size
    kind, colour = rng.choice((("grass", (104, 138, 62)), ("grass", (128, 146, 70)), ("snow", (232, 236, 242)),
                               ("ground", (158, 132, 100))))  # fmt: skip
    grain = 0.86 + 0.28 * noise(rng.randrange(2**31), (height, width), coarse=12)
    paint = np.stack([np.float32(value) * grain for value in colour])
    canvas.polygon([(0, view.horizon), (width, view.horizon), (width, height), (0, height)], paint, canvas.add(kind))
    if rng.random() < 0.6:
        low, high = view.horizon + 2, view.horizon + height * rng.uniform(0.07, 0.14)
        bank = [(x, high + 0.02 * height * np.sin(9 * x / width)) for x in np.linspace(width, 0, 24)]
        waves = 0.92 + 0.16 * noise(rng.randrange(2**31), (height, width), coarse=24)
        canvas.polygon([(0, low), (width, low), *bank], np.stack([c * waves for c in (78.0, 124.0, 158.0)]),
                       canvas.add("water"))  # fmt: skip
        _boat(canvas, rng, (width * rng.uniform(0.2, 0.8), (low + high) / 2 + 2), width * rng.uniform(0.06, 0.1))


def _plan(canvas: Canvas, rng: random.Random, view: View) -> list[tuple[float, Callable[[], object]]]:
    plan: list[tuple[float, Callable[[], object]]] = []

    def put(low: float, high: float, paint: Callable[[random.Random, Point, float, float], object]) -> None:
        """At a random place: paint(rng, pixel, pixels of a metre, metres away)."""
        distance, own = rng.uniform(low, high), random.Random(rng.randrange(2**31))
        x = view.scale(distance)
        place = view.at(0.42 * canvas.size[1] / x * rng.uniform(-1, 1), 0, distance)
        plan.append((distance, lambda: paint(own, place, x, distance)))

    for _ in range(rng.randrange(2, 6)):
        put(14, 40, lambda own, place, unit, _: tree(canvas, own, "tree", place, own.uniform(4, 8) * unit))
    for _ in range(rng.randrange(0, 3)):
        put(7, 16, lambda own, place, unit, _: bush(canvas, own, "tree", place, 1.2 * unit))
    herd = rng.choice(sorted(ANIMALS))
    for _ in range(rng.randrange(1, 5)):
        near = 3.0 + 2.5 * ANIMALS[herd]
        put(near, 2.5 * near, lambda own, place, unit, _: animal(canvas, own, herd, place, ANIMALS[herd] * unit))
    for _ in range(rng.randrange(0, 3)):
        put(5, 14, lambda own, place, unit, _: draw_figure(
            canvas, standing_pose(own), random_outfit(own), place, 1.7 * unit))  # fmt: skip
    for _ in range(rng.randrange(1, 5)):
        put(4, 14, lambda own, place, unit, _: _rock(canvas, own, place, own.uniform(0.2, 0.5) * unit))
    if rng.random() < 0.5:
        for _ in range(5):
            put(3.2, 6, lambda own, place, unit, _: _flowers(canvas, own, place, unit))
    if rng.random() < 0.4:
        put(6, 9, lambda own, place, unit, _: _bench(canvas, place, unit))
    if rng.random() < 0.4:
        plan.append((16.0, lambda: _fence(canvas, view, 16.0)))
    if rng.random() < 0.3:
        put(6, 12, lambda own, place, unit, _: _logs(canvas, place, unit))
    if rng.random() < 0.3:
        own = random.Random(rng.randrange(2**31))
        plan.append((22.0, lambda: _railway(canvas, own, view)))
    return plan


def _railway(canvas: Canvas, rng: random.Random, view: View) -> None:
    """A track towards the horizon, its platform, and a train that comes."""
    track, platform = canvas.add("track"), canvas.add("platform")
    canvas.polygon(view.ground([(2, 2), (5, 2), (5, 300), (2, 300)]), (120, 112, 106), track)
    ways = np.arange(3, 60, 1.2).tolist()
    sleepers = [view.ground([(2.2, d), (4.8, d), (4.8, d + 0.4), (2.2, d + 0.4)]) for d in ways]
    canvas.polygons(sleepers, (92, 72, 58))
    rails = [view.ground([(x, 2), (x + 0.12, 2), (x + 0.12, 300), (x, 300)]) for x in (2.7, 4.2)]
    canvas.polygons(rails, (176, 178, 182))
    block(canvas, view, platform, (170, 166, 160), (5.4, 9.0), (0, 0.7), (6, 60))
    vehicle(canvas, rng, view, "train", 3.5, rng.uniform(22, 34))


def _rock(canvas: Canvas, rng: random.Random, place: Point, size: float) -> None:
    owner = canvas.add("rock")
    grey = tone((138, 134, 128), rng.uniform(0.8, 1.15))
    canvas.ellipse((place[0], place[1]), (1.3 * size, 0.2 * size), (30, 30, 30), softness=0.2 * size + 1, opacity=0.4)
    for dx, dy, radius in ((0, -0.45, 0.9), (0.7, -0.25, 0.55), (-0.7, -0.28, 0.5)):
        middle = (place[0] + dx * size, place[1] + dy * size)
        canvas.ellipse(middle, (radius * size, 0.75 * radius * size), grey, owner, shaded=True)


def _flowers(canvas: Canvas, rng: random.Random, place: Point, unit: float) -> None:
    owner, colour = canvas.add("flower"), rng.choice(((220, 60, 70), (240, 200, 60), (180, 90, 190), (240, 240, 236)))
    for _ in range(4):
        x, y = place[0] + rng.uniform(-0.25, 0.25) * unit, place[1] - rng.uniform(0.05, 0.3) * unit
        canvas.limb((x, place[1]), (x, y), [0.012 * unit, 0.012 * unit], (70, 120, 50), owner)
        for petal in range(5):
            dx, dy = np.cos(1.257 * petal), np.sin(1.257 * petal)
            middle = (x + 0.045 * unit * dx, y + 0.045 * unit * dy)
            canvas.ellipse(middle, (0.036 * unit, 0.036 * unit), colour, owner)
        canvas.ellipse((x, y), (0.028 * unit, 0.028 * unit), (236, 180, 40), owner)


def _bench(canvas: Canvas, place: Point, unit: float) -> None:
    owner, (x, y), wood = canvas.add("bench"), place, (150, 104, 66)
    for dx in (-0.65, 0.65):
        canvas.limb((x + dx * unit, y), (x + dx * unit, y - 0.85 * unit), [0.035 * unit] * 2, (50, 52, 56), owner)
    for up in (0.42, 0.60, 0.78):
        canvas.limb(
            (x - 0.8 * unit, y - up * unit), (x + 0.8 * unit, y - up * unit), [0.055 * unit] * 2, wood, owner, cap=3
        )


def _fence(canvas: Canvas, view: View, distance: float) -> None:
    owner = canvas.add("fence")
    posts = [(x, distance) for x in np.arange(-12, 13, 1.6).tolist()]
    for x, d in posts:
        canvas.limb(view.at(x, 0, d), view.at(x, 1.2, d), [0.07 * view.scale(d)] * 2, (132, 108, 82), owner, cap=3)
    for up in (0.5, 1.0):
        ends = view.at(-12.5, up, distance), view.at(12.5, up, distance)
        canvas.limb(*ends, [0.055 * view.scale(distance)] * 2, (146, 120, 92), owner)


def _logs(canvas: Canvas, place: Point, unit: float) -> None:
    owner, (x, y) = canvas.add("wood"), place
    for row, count in enumerate((3, 2, 1)):
        for log in range(count):
            middle = (x + (log - (count - 1) / 2) * 0.42 * unit, y - (0.2 + 0.36 * row) * unit)
            canvas.ellipse(middle, (0.21 * unit, 0.21 * unit), (112, 80, 54), owner, shaded=True)
            canvas.ellipse(middle, (0.16 * unit, 0.16 * unit), (206, 168, 118), owner)
            canvas.ellipse(middle, (0.07 * unit, 0.07 * unit), (180, 140, 94), owner)


def _boat(canvas: Canvas, rng: random.Random, place: Point, size: float) -> None:
    owner, (x, y) = canvas.add("boat"), place
    canvas.polygon(
        [(x, y - 0.1 * size), (x, y - 1.3 * size), (x + 0.6 * size, y - 0.25 * size)], (244, 240, 230), owner
    )
    canvas.limb((x - 0.02 * size, y), (x - 0.02 * size, y - 1.35 * size), [0.02 * size] * 2, (90, 70, 54), owner)
    hull = [(x - 0.6 * size, y - 0.16 * size), (x + 0.66 * size, y - 0.16 * size), (x + 0.42 * size, y + 0.12 * size),
            (x - 0.45 * size, y + 0.12 * size)]  # fmt: skip
    canvas.polygon(hull, rng.choice(CLOTH), owner)


def _aeroplane(canvas: Canvas, rng: random.Random, place: Point, size: float) -> None:
    owner, (x, y), way = canvas.add("aeroplane"), place, rng.choice((-1, 1))

    def plate(colour: Colour, *corners: Point) -> None:
        canvas.polygon([(x + way * dx * size, y + dy * size) for dx, dy in corners], colour, owner)

    plate((176, 182, 190), (-0.1, 0), (0.3, -0.02), (-0.55, -0.5))
    body = (x - way * size, y + 0.08 * size), (x + way * size, y - 0.08 * size)
    canvas.limb(*body, [0.05 * size, 0.10 * size, 0.10 * size, 0.07 * size], (232, 234, 238), owner, domed=True)
    plate((190, 60, 60), (-0.72, 0), (-0.98, -0.34), (-1.0, 0.06))
    plate((204, 208, 214), (-0.05, 0.02), (0.32, 0), (-0.45, 0.52))
    pane = [(x - way * 0.5 * size, y + 0.02 * size), (x + way * 0.7 * size, y - 0.075 * size)]
    high = 0.045 * size
    quad = [pane[0], pane[1], (pane[1][0], pane[1][1] - high), (pane[0][0], pane[0][1] - high)]
    canvas.polygons(cells(quad, 9, 1, 0.25), (60, 80, 110), owner)


def _bird(canvas: Canvas, place: Point, size: float) -> None:
    owner, (x, y) = canvas.add("bird"), place
    for way in (-1, 1):
        bend = (x + way * 0.7 * size, y - 0.5 * size)
        canvas.limb((x, y), bend, [0.16 * size, 0.11 * size], (50, 48, 50), owner)
        canvas.limb(bend, (x + way * 1.5 * size, y - 0.1 * size), [0.11 * size, 0.03 * size], (50, 48, 50), owner)
    canvas.ellipse(place, (0.22 * size, 0.34 * size), (60, 56, 58), owner)

"""Vehicles as the street sees them: from behind or in front, and two-wheelers from the side."""

from __future__ import annotations

import math
import random

import numpy as np

from .body import Pose, random_pose
from .canvas import Canvas, Colour, Point
from .figure import draw_figure
from .outfits import random_outfit
from .view import View, block, cells, tone

PAINT = ((168, 32, 36), (36, 62, 120), (210, 210, 206), (48, 50, 54), (120, 124, 128), (222, 176, 48), (40, 104, 88))
# Metres: width, height, length, and the height of the floor above the road.
SIZES = {
    "car": (1.8, 1.45, 4.3, 0.3), "truck": (2.5, 3.4, 8.0, 0.6), "bus": (2.5, 3.0, 11.0, 0.4),
    "caravan": (2.2, 2.5, 5.0, 0.4), "trailer": (2.2, 1.3, 4.0, 0.6), "train": (2.6, 3.5, 28.0, 0.3),
}  # fmt: skip


def vehicle(canvas: Canvas, rng: random.Random, view: View, kind: str, x: float, distance: float) -> int:
    """A vehicle of SIZES, its middle x metres right of the camera, its near end at a distance in metres."""
    wide, high, long, floor = SIZES[kind]
    colour, unit = rng.choice(PAINT), view.scale(distance)
    left, right = x - wide / 2, x + wide / 2
    middle, ground = view.at(x, 0, distance)
    canvas.ellipse(
        (middle, ground), (0.62 * wide * unit, 0.10 * unit), (16, 16, 20), softness=0.14 * unit + 1, opacity=0.6
    )
    owner = canvas.add(kind)
    for edge in (left + 0.2, right - 0.2):
        a, b = view.at(edge - 0.14, 0, distance), view.at(edge + 0.14, floor + 0.25, distance)
        canvas.polygon([a, (b[0], a[1]), b, (a[0], b[1])], (24, 24, 26), owner)
    body = high * 0.58 if kind == "car" else high
    block(canvas, view, owner, colour, (left, right), (floor, body), (distance, distance + long))
    if kind == "car":
        _cabin(canvas, view, owner, colour, left, right, body, high, distance)
    elif kind == "trailer":
        front = _front(view, left, right, floor, high, distance)
        canvas.polygons(cells(front, 1, 4, 0.08), tone(colour, 0.85))
    else:
        front = _front(view, left + 0.15, right - 0.15, high * 0.5, high * 0.9, distance)
        canvas.polygons(cells(front, 2 if kind == "caravan" else 1, 1, 0.06), (44, 56, 70), owner)
        if kind in ("bus", "train") and not left <= 0 <= right:
            edge = left if left > 0 else right
            side = [view.at(edge, high * 0.5, distance), view.at(edge, high * 0.5, distance + long)]
            side += [view.at(edge, high * 0.85, distance + long), view.at(edge, high * 0.85, distance)]
            canvas.polygons(cells(side, 7, 1, 0.1), (44, 56, 70), owner)
    lamp = (228, 50, 44) if x >= 0 else (250, 240, 200)  # tail lamps on our side of the road, head lamps on the other
    for edge in (left + 0.25, right - 0.25):
        canvas.ellipse(view.at(edge, floor + 0.32, distance), (0.13 * unit, 0.09 * unit), lamp, owner)
    plate = _front(view, x - 0.26, x + 0.26, floor + 0.08, floor + 0.2, distance)
    canvas.polygon(plate, (236, 236, 228), owner)
    return owner


def _front(view: View, left: float, right: float, low: float, high: float, distance: float) -> list[Point]:
    corners = ((left, low), (right, low), (right, high), (left, high))
    return [view.at(x, up, distance) for x, up in corners]


def _cabin(
    canvas: Canvas, view: View, owner: int, colour: Colour, left: float, right: float, body: float, high: float,
    distance: float,
) -> None:  # fmt: skip
    """Roof and windows above a car's body, narrower at the top."""
    base = [view.at(left + 0.08, body, distance + 0.3), view.at(right - 0.08, body, distance + 0.3)]
    roof = [view.at(right - 0.32, high, distance + 0.9), view.at(left + 0.32, high, distance + 0.9)]
    canvas.polygon([*base, *roof], tone(colour, 1.05), owner)
    canvas.polygons(cells([*base, *roof], 1, 1, 0.12), (50, 62, 76), owner)


def two_wheeler(canvas: Canvas, rng: random.Random, kind: str, foot: Point, unit: float, ridden: bool) -> None:
    """A bicycle or motorcycle from the side, and its rider.

    foot: the ground between the wheels; unit: pixels of a metre.
    """
    owner, way = canvas.add(kind), rng.choice((-1, 1))
    heavy = kind == "motorcycle"
    wheel, base = (0.31 if heavy else 0.34) * unit, (0.70 if heavy else 0.53) * unit
    colour = rng.choice(PAINT)
    x, y = foot
    hubs = [(x - way * base, y - wheel), (x + way * base, y - wheel)]
    for hub in hubs:
        _ring(canvas, owner, hub, wheel, (0.10 if heavy else 0.035) * unit)
    saddle, bars = (x - way * 0.18 * unit, y - 0.85 * unit), (x + way * 0.42 * unit, y - 1.0 * unit)
    pedal = (x, y - 0.30 * unit)
    thick = (0.07 if heavy else 0.025) * unit
    for a, b in ((hubs[0], saddle), (hubs[0], pedal), (saddle, pedal), (pedal, bars), (saddle, bars), (hubs[1], bars)):
        canvas.limb(a, b, [thick, thick], colour, owner)
    if heavy:
        tank = (x + way * 0.2 * unit, y - 0.78 * unit)
        canvas.limb(saddle, tank, [0.12 * unit, 0.17 * unit], colour, owner, domed=True)
        canvas.limb(pedal, (x + way * 0.2 * unit, y - 0.45 * unit), [0.18 * unit, 0.16 * unit], (70, 72, 76), owner)
    seat = (saddle[0] - 0.1 * unit, saddle[1]), (saddle[0] + 0.1 * unit, saddle[1])
    canvas.limb(*seat, [0.05 * unit, 0.05 * unit], (30, 28, 28), owner)
    if ridden:
        pose = random_pose(rng, "ride", yaw=90.0 * way)
        outfit = random_outfit(rng, hat="cap" if rng.random() < 0.5 else "none", bottom="pants", top="shirt")
        figure_foot = (x - way * 0.05 * unit, y - 0.06 * unit)
        draw_figure(canvas, pose, outfit, figure_foot, 1.72 * unit, kind="rider", shadow=False)


def _ring(canvas: Canvas, owner: int, hub: Point, radius: float, thick: float) -> None:
    """A tyre and spokes, between which the street is seen."""
    turn = np.linspace(0, math.tau, 33)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    inner = max(0.0, radius - max(2 * thick, 1.2))
    canvas.polygon(np.concatenate([hub + radius * circle, hub + inner * circle[::-1]]), (30, 30, 32), owner)
    across = max(0.3 * thick, 0.4)
    spokes = []
    for dx, dy in circle[:16:4]:
        side = np.array([-dy, dx]) * across
        a, b = np.array(hub) - (inner * dx, inner * dy), np.array(hub) + (inner * dx, inner * dy)
        spokes.append([a - side, b - side, b + side, a + side])
    canvas.polygons(spokes, (150, 150, 154), owner)


def standing_pose(rng: random.Random) -> Pose:
    """Someone on a pavement: walking along it, or standing."""
    if rng.random() < 0.6:
        return random_pose(rng, "walk", yaw=rng.choice((-80.0, 80.0, 180.0, 0.0)) + rng.uniform(-20, 20))
    return random_pose(rng, "stand")

"""Rooms with furniture and what lies on it; things have the names of PASCAL-Context."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from .body import random_pose
from .canvas import Canvas, Point
from .figure import draw_figure
from .outfits import CLOTH, random_outfit
from .photographs import background
from .props import animal, foliage
from .view import View, block, cells, tone

WOOD = ((150, 108, 70), (110, 80, 56), (196, 164, 120), (84, 66, 54))


def draw_room(seed: int, size: tuple[int, int], photographs: str | Path | None = None) -> Canvas:
    """A room, seen from one end; the same seed gives the same picture; size: (H, W). The photograph hangs on a wall."""
    rng = random.Random(f"room {seed}")
    height, width = size
    canvas = Canvas(np.zeros((height, width, 3), np.float32))
    photograph = background(rng, size, photographs)
    view = View(0.85 * width, height * 0.46, width / 2, 1.45)
    deep = rng.uniform(6.0, 7.5)
    half = 0.40 * width * deep / view.focal + 0.6
    _shell(canvas, rng, view, half, deep)
    _walls(canvas, rng, view, half, deep, photograph)
    back = [_shelves, _sofa, _bed, _cabinet]
    rng.shuffle(back)
    back[0](canvas, rng, view, -half * 0.5, deep - 1.3)
    back[1](canvas, rng, view, half * 0.5, deep - 1.5)
    if rng.random() < 0.6:
        outfit, x = random_outfit(rng, hat="none"), rng.uniform(-0.3, 0.3) * half
        draw_figure(canvas, random_pose(rng, "stand"), outfit, view.at(x, 0, 4.9), 1.7 * view.scale(4.9))
    _table(canvas, rng, view, rng.uniform(-0.4, 0.4), 3.6)
    if rng.random() < 0.6:
        animal(
            canvas, rng, rng.choice(("cat", "dog")), view.at(rng.choice((-1.25, 1.25)), 0, 3.2), 0.42 * view.scale(3.2)
        )
    if rng.random() < 0.5:
        _bag(canvas, rng, view, rng.choice((-1.5, 1.5)), 3.8)
    return canvas


def _shell(canvas: Canvas, rng: random.Random, view: View, half: float, deep: float) -> None:
    tall, near = 2.7, 0.6
    wall, floor, ceiling = canvas.add("wall"), canvas.add("floor"), canvas.add("ceiling")
    paint, board = rng.choice(((214, 204, 184), (176, 196, 204), (206, 190, 196), (190, 200, 176))), rng.choice(WOOD)
    canvas.owner[:] = wall
    canvas.planes[:] = np.array(paint, np.float32)[:, None, None]
    corners = view.ground([(-half, deep), (half, deep), (half, near), (-half, near)])
    canvas.polygon(corners, board, floor)
    places = np.arange(-half, half, 0.35).tolist()
    joints = [view.ground([(x, deep), (x + 0.02, deep), (x + 0.02, near), (x, near)]) for x in places]
    canvas.polygons(joints, tone(board, 0.72))
    top = [view.at(-half, tall, deep), view.at(half, tall, deep), view.at(half, tall, near), view.at(-half, tall, near)]
    canvas.polygon(top, (240, 238, 232), ceiling)
    for side, light in ((-1, 0.86), (1, 1.08)):
        edge = [view.at(side * half, 0, deep), view.at(side * half, tall, deep)]
        edge += [view.at(side * half, tall, near), view.at(side * half, 0, near)]
        canvas.polygon(edge, tone(paint, light), wall)
    lamp = canvas.add("light")
    x, y = view.at(0, tall - 0.45, deep - 2.0)
    unit = view.scale(deep - 2.0)
    canvas.limb(view.at(0, tall, deep - 2.0), (x, y), [0.015 * unit] * 2, (60, 60, 60), lamp)
    canvas.limb((x, y - 0.12 * unit), (x, y + 0.14 * unit), [0.10 * unit, 0.30 * unit], (252, 236, 190), lamp, cap=5)


def _walls(canvas: Canvas, rng: random.Random, view: View, half: float, deep: float, photograph: np.ndarray) -> None:
    """On the far wall a window with curtains, a door, and a picture."""

    def face(x0: float, x1: float, low: float, high: float) -> list[Point]:
        return [view.at(x0, low, deep), view.at(x1, low, deep), view.at(x1, high, deep), view.at(x0, high, deep)]

    side = rng.choice((-1, 1))
    left = side * half * 0.5 - 0.75
    window = canvas.add("window")
    canvas.polygon(face(left, left + 1.5, 0.95, 2.3), (240, 240, 238), window)
    canvas.polygons(cells(face(left, left + 1.5, 0.95, 2.3), 2, 2, 0.06), (158, 196, 226), window)
    curtain, cloth = canvas.add("curtain"), rng.choice(CLOTH)
    for x in (left - 0.45, left + 1.35):
        canvas.polygon(face(x, x + 0.55, 0.25, 2.45), cloth, curtain)
        canvas.polygons([face(x + k, x + k + 0.06, 0.25, 2.45) for k in (0.1, 0.28, 0.45)], tone(cloth, 0.8), curtain)
    door, x = canvas.add("door"), -side * half * 0.55
    canvas.polygon(face(x - 0.45, x + 0.45, 0, 2.05), tone(rng.choice(WOOD), 1.1), door)
    canvas.polygons(cells(face(x - 0.45, x + 0.45, 0.1, 1.95), 2, 2, 0.14), tone(rng.choice(WOOD), 0.9), door)
    canvas.polygon(face(-side * 0.35 - 0.45, -side * 0.35 + 0.45, 1.35, 2.05), (70, 54, 40))
    picture = np.ascontiguousarray(np.moveaxis(photograph, 2, 0), np.float32)
    canvas.polygon(face(-side * 0.35 - 0.39, -side * 0.35 + 0.39, 1.41, 1.99), picture)


def _table(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    """A table with a chair behind it, and on it a meal or a desk's things."""
    wood = rng.choice(WOOD)
    chair = canvas.add("chair")
    for dx in (-0.2, 0.2):
        block(
            canvas,
            view,
            chair,
            tone(wood, 0.8),
            (x + dx - 0.03, x + dx + 0.03),
            (0, 1.05),
            (distance + 1.0, distance + 1.05),
        )
    block(canvas, view, chair, tone(wood, 0.9), (x - 0.24, x + 0.24), (0.62, 1.05), (distance + 1.0, distance + 1.05))
    block(canvas, view, chair, tone(wood, 0.95), (x - 0.25, x + 0.25), (0.42, 0.48), (distance + 0.55, distance + 1.0))
    table = canvas.add("table")
    for dx, d in ((-0.75, distance + 0.75), (0.70, distance + 0.75), (-0.75, distance), (0.70, distance)):
        block(canvas, view, table, tone(wood, 0.8), (x + dx, x + dx + 0.06), (0, 0.7), (d, d + 0.06))
    block(canvas, view, table, wood, (x - 0.82, x + 0.82), (0.70, 0.76), (distance, distance + 0.85))
    if rng.random() < 0.5:
        _meal(canvas, rng, view, x, distance)
    else:
        _desk(canvas, rng, view, x, distance)


def _meal(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    unit = view.scale(distance + 0.4)
    glass = rng.choice(((60, 110, 70), (130, 70, 50), (170, 190, 200)))
    for dx in (-0.45, 0.35):
        px, py = view.at(x + dx, 0.77, distance + 0.35)
        canvas.ellipse((px, py), (0.16 * unit, 0.055 * unit), (238, 238, 234), canvas.add("plate"), shaded=True)
        food = canvas.add("food")
        for k, colour in enumerate(((196, 70, 50), (222, 176, 70), (96, 140, 60))):
            canvas.ellipse(
                (px + (k - 1) * 0.06 * unit, py - 0.03 * unit), (0.05 * unit, 0.04 * unit), colour, food, shaded=True
            )
    bx, by = view.at(x - 0.05, 0.76, distance + 0.5)
    bottle = canvas.add("bottle")
    radii = [radius * unit for radius in (0.05, 0.05, 0.05, 0.018, 0.018)]
    canvas.limb((bx, by), (bx, by - 0.30 * unit), radii, glass, bottle, cap=3)
    canvas.limb((bx, by - 0.08 * unit), (bx, by - 0.16 * unit), [0.051 * unit] * 2, (236, 226, 200), bottle, cap=8)
    cx, cy = view.at(x + 0.08, 0.76, distance + 0.25)
    cup, colour = canvas.add("cup"), rng.choice(CLOTH)
    canvas.limb((cx, cy), (cx, cy - 0.09 * unit), [0.035 * unit, 0.045 * unit], colour, cup, cap=3)
    canvas.ellipse((cx, cy - 0.10 * unit), (0.042 * unit, 0.014 * unit), tone(colour, 0.5), cup)


def _desk(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    screen, d = canvas.add("tvmonitor"), distance + 0.55
    block(canvas, view, screen, (40, 42, 46), (x - 0.05, x + 0.05), (0.76, 0.9), (d, d + 0.05))
    block(canvas, view, screen, (34, 36, 40), (x - 0.32, x + 0.32), (0.86, 1.25), (d, d + 0.04))
    pane = [view.at(px, up, d) for px, up in ((x - 0.29, 0.89), (x + 0.29, 0.89), (x + 0.29, 1.22), (x - 0.29, 1.22))]
    canvas.polygon(pane, (90, 140, 190), screen)
    computer = canvas.add("computer")
    block(canvas, view, computer, (70, 74, 80), (x + 0.48, x + 0.66), (0.76, 1.12), (distance + 0.35, distance + 0.75))
    keys = canvas.add("keyboard")
    block(canvas, view, keys, (220, 220, 216), (x - 0.24, x + 0.2), (0.76, 0.78), (distance + 0.15, distance + 0.32))
    mx, my = view.at(x + 0.32, 0.77, distance + 0.22)
    unit = view.scale(distance + 0.2)
    canvas.ellipse((mx, my), (0.035 * unit, 0.022 * unit), (50, 52, 56), canvas.add("mouse"), shaded=True)
    for k in range(3):
        book = canvas.add("book")
        low = 0.76 + 0.045 * k
        block(
            canvas,
            view,
            book,
            rng.choice(CLOTH),
            (x - 0.7, x - 0.42),
            (low, low + 0.04),
            (distance + 0.2, distance + 0.45),
        )


def _shelves(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    wood, shelves = rng.choice(WOOD), canvas.add("shelves")
    block(canvas, view, shelves, tone(wood, 0.6), (x - 0.55, x + 0.55), (0, 1.9), (distance, distance + 0.35))
    for low in (0.05, 0.5, 0.95, 1.4, 1.85):
        block(canvas, view, shelves, wood, (x - 0.57, x + 0.57), (low, low + 0.05), (distance - 0.02, distance))
        place = x - 0.5
        while low < 1.8 and place < x + 0.40:
            wide, high = rng.uniform(0.04, 0.09), rng.uniform(0.22, 0.36)
            if rng.random() < 0.8:
                front = [
                    (place, low + 0.05),
                    (place + wide, low + 0.05),
                    (place + wide, low + high),
                    (place, low + high),
                ]
                canvas.polygon(
                    [view.at(*corner, distance - 0.02) for corner in front], rng.choice(CLOTH), canvas.add("book")
                )
            place += wide + 0.006


def _cabinet(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    wood, cabinet = rng.choice(WOOD), canvas.add("cabinet")
    block(canvas, view, cabinet, wood, (x - 0.6, x + 0.6), (0, 0.95), (distance, distance + 0.5))
    front = [view.at(px, up, distance) for px, up in ((x - 0.6, 0), (x + 0.6, 0), (x + 0.6, 0.95), (x - 0.6, 0.95))]
    canvas.polygons(cells(front, 2, 3, 0.06), tone(wood, 0.86), cabinet)
    plant, unit = canvas.add("pottedplant"), view.scale(distance)
    px, py = view.at(x - 0.25, 0.97, distance + 0.2)
    canvas.limb((px, py), (px, py - 0.2 * unit), [0.09 * unit, 0.12 * unit], (176, 96, 64), plant, cap=3)
    foliage(canvas, rng, plant, (px, py - 0.42 * unit), 0.22 * unit, (70, 120, 60))


def _sofa(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    sofa, cloth = canvas.add("sofa"), rng.choice(CLOTH)
    block(canvas, view, sofa, tone(cloth, 0.85), (x - 0.85, x + 0.85), (0.1, 0.85), (distance + 0.55, distance + 0.8))
    block(canvas, view, sofa, cloth, (x - 0.85, x + 0.85), (0.1, 0.45), (distance, distance + 0.55))
    for edge in (-0.95, 0.75):
        block(
            canvas, view, sofa, tone(cloth, 0.95), (x + edge, x + edge + 0.2), (0.1, 0.62), (distance, distance + 0.8)
        )
    throw = canvas.add("cloth")
    block(canvas, view, throw, rng.choice(CLOTH), (x - 0.5, x - 0.1), (0.2, 0.47), (distance - 0.01, distance + 0.5))


def _bed(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    bed, wood, cloth = canvas.add("bed"), rng.choice(WOOD), rng.choice(CLOTH)
    near = distance - 0.9
    block(canvas, view, bed, wood, (x - 0.7, x + 0.7), (0.1, 1.0), (distance + 0.9, distance + 0.98))
    block(canvas, view, bed, wood, (x - 0.7, x + 0.7), (0.1, 0.4), (near, distance + 0.9))
    clothes = canvas.add("bedclothes")
    block(canvas, view, clothes, cloth, (x - 0.72, x + 0.72), (0.25, 0.55), (near + 0.02, distance + 0.88))
    block(canvas, view, clothes, (244, 242, 236), (x - 0.45, x + 0.45), (0.55, 0.68), (distance + 0.4, distance + 0.8))


def _bag(canvas: Canvas, rng: random.Random, view: View, x: float, distance: float) -> None:
    bag, colour, unit = canvas.add("bag"), rng.choice(CLOTH), view.scale(distance)
    px, py = view.at(x, 0, distance)
    strap = (px - 0.12 * unit, py - 0.36 * unit), (px + 0.12 * unit, py - 0.36 * unit)
    canvas.limb(*strap, [0.11 * unit] * 2, tone(colour, 0.6), bag)
    canvas.limb((px, py - 0.36 * unit), (px, py), [0.20 * unit, 0.24 * unit, 0.25 * unit], colour, bag, cap=4)

"""Things that stand about: trees, poles, lights, signs, animals."""

from __future__ import annotations

import random

import numpy as np

from .canvas import Canvas, Colour, Point
from .view import tone

LEAVES = ((70, 110, 48), (92, 128, 56), (58, 96, 60), (120, 132, 60))


def foliage(canvas: Canvas, rng: random.Random, owner: int, middle: Point, radius: float, colour: Colour) -> None:
    """A crown of leaves: lit balls of several sizes, fewer where they are small."""
    rng = random.Random(rng.randrange(2**31))  # its own, so that what follows does not hang on their number
    for ball in range(14 if radius > 36 else 8 if radius > 10 else 5):
        angle, away = 6.283 * rng.random(), rng.random() ** 0.5
        place = (middle[0] + radius * away * np.cos(angle), middle[1] + 0.8 * radius * away * np.sin(angle))
        size = radius * rng.uniform(0.3, 0.55)
        light = 0.8 + 0.35 * rng.random() - 0.15 * np.sin(angle) * away + 0.01 * ball
        canvas.ellipse(place, (size, 0.9 * size), tone(colour, light), owner, shaded=True)


def tree(canvas: Canvas, rng: random.Random, kind: str, foot: Point, height: float) -> int:
    """A tree of a height in pixels; its trunk belongs to it."""
    owner = canvas.add(kind)
    top = (foot[0] + 0.04 * height * (rng.random() - 0.5), foot[1] - 0.62 * height)
    canvas.limb(foot, top, [0.045 * height, 0.028 * height, 0.022 * height], (92, 70, 52), owner)
    foliage(canvas, rng, owner, (top[0], foot[1] - 0.68 * height), 0.30 * height, rng.choice(LEAVES))
    return owner


def bush(canvas: Canvas, rng: random.Random, kind: str, foot: Point, width: float) -> int:
    """Low leaves, width pixels wide."""
    owner = canvas.add(kind)
    foliage(canvas, rng, owner, (foot[0], foot[1] - 0.25 * width), 0.42 * width, rng.choice(LEAVES))
    return owner


def lamp_post(canvas: Canvas, rng: random.Random, foot: Point, unit: float) -> None:
    """A pole with a traffic light or a sign, or alone; unit: pixels of a metre."""
    pole = canvas.add("pole")
    x, y = foot
    kind = rng.choice(("light", "sign", "lamp"))
    height = {"light": 3.2, "sign": 2.9, "lamp": 6.0}[kind] * unit
    canvas.limb(foot, (x, y - height), [0.07 * unit, 0.05 * unit], (128, 130, 132), pole, cap=3)
    if kind == "light":
        owner = canvas.add("traffic light")
        low, high = y - height - 0.1 * unit, y - height + 0.8 * unit
        wide = 0.16 * unit
        canvas.polygon([(x - wide, low), (x + wide, low), (x + wide, high), (x - wide, high)], (32, 34, 36), owner)
        lit = rng.randrange(3)
        for lamp, colour in enumerate(((230, 50, 40), (240, 180, 40), (60, 200, 90))):
            place = (x, low + (0.2 + 0.26 * lamp) * unit)
            canvas.ellipse(place, (0.1 * unit, 0.1 * unit), colour if lamp == lit else tone(colour, 0.25), owner)
    elif kind == "sign":
        owner = canvas.add("traffic sign")
        place, size = (x, y - height + 0.3 * unit), 0.36 * unit
        rim, field = rng.choice(
            (((200, 30, 36), (244, 244, 240)), ((30, 80, 170), (30, 80, 170)), ((200, 30, 36),) * 2)
        )
        canvas.ellipse(place, (size, size), rim, owner)
        canvas.ellipse(place, (0.74 * size, 0.74 * size), field, owner)
        bar = [
            (place[0] + dx * size, place[1] + dy * size)
            for dx, dy in ((-0.5, -0.1), (0.5, -0.1), (0.5, 0.1), (-0.5, 0.1))
        ]
        canvas.polygon(bar, (30, 32, 36) if field == (244, 244, 240) else (244, 244, 240), owner)
    else:
        tip = (x + 0.9 * unit, y - height - 0.1 * unit)
        canvas.limb((x, y - height), tip, [0.04 * unit, 0.08 * unit], (128, 130, 132), pole)


# Coat, relative leg and neck length, width of the body; shares of the shoulder's height.
_ANIMALS: dict[str, tuple[Colour, float, float, float]] = {
    "cow": ((120, 80, 56), 0.45, 0.22, 0.27), "horse": ((110, 70, 44), 0.52, 0.42, 0.20),
    "sheep": ((226, 220, 206), 0.38, 0.16, 0.30), "dog": ((170, 120, 70), 0.46, 0.26, 0.17),
    "cat": ((90, 88, 92), 0.40, 0.20, 0.16),
}  # fmt: skip


def animal(canvas: Canvas, rng: random.Random, kind: str, foot: Point, height: float) -> int:
    """A cow, horse, sheep, dog or cat from the side; height: pixels to its shoulder."""
    coat, leg, neck, body = _ANIMALS[kind]
    coat = tone(coat, rng.uniform(0.75, 1.15))
    owner, way = canvas.add(kind), rng.choice((-1, 1))
    x, y, h = foot[0], foot[1], height
    canvas.ellipse((x, y), (0.75 * h, 0.08 * h), (20, 24, 20), softness=0.06 * h + 1, opacity=0.45)
    back = y - h * (1 - 0.6 * body)
    for dx, dark in ((-0.50, 0.72), (0.46, 0.72), (-0.42, 1.0), (0.54, 1.0)):
        root, hoof = (x + way * dx * h, back + 0.1 * h), (x + way * (dx + 0.05 * rng.uniform(-1, 1)) * h, y)
        canvas.limb(root, hoof, [0.11 * h, 0.06 * h, 0.05 * h], tone(coat, dark), owner)
    rump, chest = (x - way * 0.52 * h, back), (x + way * 0.52 * h, back)
    canvas.limb(rump, chest, [body * h, 0.92 * body * h, body * h], coat, owner, domed=True)
    tail = (x - way * 0.68 * h, back - 0.1 * h), (x - way * 0.82 * h, back + leg * h * 0.6)
    canvas.limb(*tail, [0.035 * h, 0.03 * h], tone(coat, 0.8), owner)
    crest = (x + way * (0.60 + 0.6 * neck) * h, back - (neck + 0.05) * h)
    canvas.limb((x + way * 0.48 * h, back - 0.02 * h), crest, [0.75 * body * h, 0.11 * h], coat, owner)
    muzzle = (crest[0] + way * 0.26 * h, crest[1] + 0.13 * h)
    canvas.limb(crest, muzzle, [0.12 * h, 0.085 * h, 0.065 * h], coat, owner, domed=True)
    canvas.limb(crest, (crest[0] - way * 0.05 * h, crest[1] - 0.17 * h), [0.05 * h, 0.02 * h], tone(coat, 0.8), owner)
    eye = (crest[0] + way * 0.07 * h, crest[1] - 0.01 * h)
    canvas.ellipse(eye, (0.02 * h, 0.02 * h), (16, 14, 14), owner)
    return owner

"""One face, painted from its shape: head, hair, eyes, brows, nose and lips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tasks.optional import opencv
from .canvas import LIGHT, Canvas, Colour
from .face_shape import FacePose, FaceShape, brow, eye, jaw, landmarks, mask, mouth, nose, pupil, skull
from .view import tone


@dataclass(frozen=True)
class FaceLook:
    """Colours, and what lies on the face. make_up: painted lips and lids. cover: none, sunglasses, mask, hand."""

    skin: Colour
    hair: Colour
    iris: Colour
    cloth: Colour
    long_hair: bool = False
    make_up: bool = False
    cover: str = "none"
    cover_colour: Colour = (30, 30, 36)


@dataclass(frozen=True)
class FacePlace:
    """Maps the face's axes to pixels. middle: between the pupils; unit: pixels of one unit of the shape."""

    pose: FacePose
    middle: tuple[float, float]
    unit: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """(…, 3) in the face's axes to (…, 3) pixels: x, y, and depth towards the viewer."""
        turned = points @ self.pose.matrix().T
        near = 1 + 0.06 * turned[..., 2:]  # a camera about seventeen units away
        placed = turned * self.unit
        placed[..., :2] = placed[..., :2] * near + np.asarray(self.middle)
        return placed


def draw_face(canvas: Canvas, shape: FaceShape, look: FaceLook, place: FacePlace) -> tuple[int, int]:
    """Paints shoulders, head and what covers it; the numbers of the face and of the cover (0 if there is none)."""
    unit = place.unit
    hair = canvas.add("hair")
    head = place.project(skull(shape))
    cap = _hull(head[skull(shape)[:, 1] < (0.25 if look.long_hair else 0.05)][:, :2])
    middle = cap.mean(axis=0)
    if look.long_hair:
        low = middle + np.array([0, 1.35 * unit])
        canvas.limb(middle, low, [1.10 * unit, 1.16 * unit, 1.0 * unit], tone(look.hair, 0.8), hair, cap=1.3)
    _shoulders(canvas, look, place)
    number = canvas.add("face")
    _lit_hull(canvas, tone(look.hair, 1.0), place, middle + (cap - middle) * 1.07, hair)
    for side in (-1, 1):
        ear = place.project(np.array([side * 0.99 * shape.width, 0.12, -0.22]))
        radii = (0.12 * unit, 0.22 * unit)
        canvas.ellipse((ear[0], ear[1]), radii, look.skin, number, angle=place.pose.roll, shaded=True)
    _lit_hull(canvas, look.skin, place, _hull(place.project(mask(shape))[:, :2]), number)
    _cheeks(canvas, place)
    _eyes(canvas, shape, look, place, number)
    _nose(canvas, shape, look, place, number)
    _mouth(canvas, shape, look, place, number)
    _brows(canvas, shape, look, place, number)
    return number, _cover(canvas, shape, look, place)


def _hull(points: np.ndarray) -> np.ndarray:
    return opencv().convexHull(points.astype(np.float32))[:, 0, :].astype(np.float64)


def _shoulders(canvas: Canvas, look: FaceLook, place: FacePlace) -> None:
    x, y, unit = *place.middle, place.unit
    number = canvas.add("body")
    ground = y + 2.8 * unit
    canvas.limb((x - 1.5 * unit, ground), (x + 1.5 * unit, ground), [0.95 * unit, 1.1 * unit, 0.95 * unit], look.cloth,
                number)  # fmt: skip
    canvas.limb((x, y + 0.7 * unit), (x, y + 1.9 * unit), [0.52 * unit, 0.55 * unit, 0.72 * unit],
                tone(look.skin, 0.86), number)  # fmt: skip


def _lit_hull(canvas: Canvas, colour: Colour, place: FacePlace, outline: np.ndarray, number: int) -> None:
    """A convex outline, lit as the ellipsoid that fills it."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    window = canvas.window(low[0] - 2, low[1] - 2, high[0] + 2, high[1] + 2)
    if window is None:
        return
    rows, columns = window
    u = (np.arange(columns.start, columns.stop, dtype=np.float32) - (low[0] + high[0]) / 2) / ((high[0] - low[0]) / 2)
    v = (np.arange(rows.start, rows.stop, dtype=np.float32) - (low[1] + high[1]) / 2) / ((high[1] - low[1]) / 2)
    u, v = np.float32(0.86) * u[None, :], np.float32(0.80) * v[:, None]
    height = np.sqrt(np.maximum(0.05, 1 - u * u - v * v))
    shade = 0.50 + 0.60 * np.maximum(u * LIGHT[0] + v * LIGHT[1] + height * LIGHT[2], 0)
    lit = [shade.astype(np.float32) * np.float32(value) for value in colour]
    canvas.paint(window, _cover_of(window, outline), lit, number, depth=height * np.float32(place.unit))


def _cover_of(window: tuple[slice, slice], outline: np.ndarray) -> np.ndarray:
    """How much of each pixel of a window a polygon covers, float32 (h, w), 0 to 1."""
    rows, columns = window
    cover = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    fixed = np.rint((outline - (columns.start, rows.start)) * 16).astype(np.int32)
    cv2 = opencv()
    cv2.fillPoly(cover, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
    return cover.astype(np.float32) / 255


def _cheeks(canvas: Canvas, place: FacePlace) -> None:
    for side in (-1, 1):
        if (place.pose.matrix() @ np.array([side * 0.55, 0.3, 0.78]))[2] > 0.45:
            x, y, _ = place.project(np.array([side * 0.50, 0.50, 0.66]))
            size = 0.20 * place.unit
            canvas.ellipse((x, y), (size, size), (214, 92, 84), softness=1.6 * size, opacity=0.2)


def _seen(place: FacePlace, x: float, y: float) -> bool:
    """Whether the skin at (x, y) of the face looks towards us rather than away."""
    return (place.pose.matrix() @ np.array([0.95 * x, 0.35 * y, 0.62]))[2] > 0.06


def _eyes(canvas: Canvas, shape: FaceShape, look: FaceLook, place: FacePlace, number: int) -> None:
    unit = place.unit
    for side in (-1, 1):
        if not _seen(place, side * 0.4, 0):
            continue
        rim = place.project(eye(shape, side, 24))[:, :2]
        socket = rim.mean(axis=0)
        lid = (120, 60, 130) if look.make_up else tone(look.skin, 0.80)
        canvas.polygon(
            socket + (rim - socket) * (1.22, 1.65) - (0, 0.03 * unit),
            lid,
            number,
            opacity=0.75 if look.make_up else 0.5,
        )
        canvas.polygon(rim, (246, 244, 240), number)
        x, y, _ = place.project(pupil(shape, side))
        _within(canvas, rim, [((x, y), 0.085 * unit, look.iris), ((x, y), 0.042 * unit, (16, 14, 14)),
                              ((x - 0.03 * unit, y - 0.03 * unit), 0.016 * unit, (255, 255, 255))])  # fmt: skip
        upper = rim[:13]
        thick = np.array([0, (0.035 if look.make_up else 0.022) * unit])
        canvas.polygon(np.concatenate([upper - thick, upper[::-1] + thick * 0.3]), (36, 24, 22), number, opacity=0.9)


def _within(canvas: Canvas, rim: np.ndarray, discs: list[tuple[tuple[float, float], float, Colour]]) -> None:
    """Discs that only the opening of the eye lets through."""
    low, high = rim.min(axis=0), rim.max(axis=0)
    window = canvas.window(low[0] - 1, low[1] - 1, high[0] + 1, high[1] + 1)
    if window is None:
        return
    rows, columns = window
    opening = _cover_of(window, rim)
    for (x, y), radius, colour in discs:
        away = np.hypot(
            np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - x,
            np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - y,
        )
        canvas.paint(window, (np.clip(radius - away + 0.5, 0, 1) * opening).astype(np.float32), colour)


def _brows(canvas: Canvas, shape: FaceShape, look: FaceLook, place: FacePlace, number: int) -> None:
    for side in (-1, 1):
        if _seen(place, side * 0.5, -0.3):
            canvas.polygon(place.project(np.concatenate(brow(shape, side, 9)))[:, :2], tone(look.hair, 0.85), number)


def _nose(canvas: Canvas, shape: FaceShape, look: FaceLook, place: FacePlace, number: int) -> None:
    unit, points = place.unit, place.project(nose(shape))[:, :2]
    ridge, base = points[:4], points[4:]
    # The side away from the light is dark: a blade from the ridge to the right nostril.
    canvas.polygon(
        [ridge[0], ridge[3], base[4], base[4] + (0.02 * unit, -0.10 * unit)],
        tone(look.skin, 0.72),
        number,
        opacity=0.45,
    )
    canvas.polygon(_hull(np.concatenate([ridge[3:], base])), tone(look.skin, 0.84), number, opacity=0.6)
    for k in (1, 3):
        x, y = base[k]
        canvas.ellipse((x, y - 0.01 * unit), (0.045 * unit, 0.026 * unit), tone(look.skin, 0.35), number, softness=1.5)
    x, y = ridge[3] - (0.03 * unit, 0.04 * unit)
    size = (0.05 * unit, 0.05 * unit)
    canvas.ellipse((x, y), size, tone(look.skin, 1.22), number, softness=0.06 * unit, opacity=0.7)


def _mouth(canvas: Canvas, shape: FaceShape, look: FaceLook, place: FacePlace, number: int) -> None:
    outer, inner = (place.project(curve)[:, :2] for curve in mouth(shape, 36))
    lips = (196, 30, 58) if look.make_up else (0.80 * look.skin[0] + 10, 0.55 * look.skin[1], 0.55 * look.skin[2])
    canvas.polygon(outer[18:].tolist() + [outer[0]] + inner[::-1].tolist(), lips, number)
    canvas.polygon(outer, lips, number)
    canvas.polygon(outer[:19].tolist() + inner[12::-1].tolist(), tone(lips, 0.84), number)
    canvas.polygon(inner, (74, 22, 26), number)
    if shape.gape > 0.15:
        # The upper teeth: the band below the upper inner rim.
        upper = inner[1:12]
        band = np.array([0, 0.09 * place.unit * min(1.0, 2 * shape.gape)])
        canvas.polygon(np.concatenate([upper, upper[::-1] + band]), (240, 238, 230), number)
        canvas.polygon(outer[19:].tolist() + [outer[0]] + inner[:12:-1].tolist(), lips, number)


def _cover(canvas: Canvas, shape: FaceShape, look: FaceLook, place: FacePlace) -> int:
    """Sunglasses, a mask, or a hand before the cheek."""
    if look.cover == "none":
        return 0
    unit, number = place.unit, canvas.add(look.cover)
    if look.cover == "sunglasses":
        eyes = [place.project(np.array([side * 0.40 * shape.width, 0.03, 0.95])) for side in (-1, 1)]
        for x, y, _ in eyes:
            size = (0.30 * unit * max(0.5, place.pose.matrix()[2, 2]), 0.23 * unit)
            canvas.ellipse((x, y), size, look.cover_colour, number, angle=place.pose.roll)
            canvas.ellipse(
                (x - 0.1 * unit, y - 0.08 * unit), (0.1 * unit, 0.03 * unit), (150, 160, 175), angle=-30, softness=3
            )
        canvas.limb(eyes[0][:2], eyes[1][:2], [0.035 * unit, 0.035 * unit], look.cover_colour, number)
        return number
    if look.cover == "mask":
        low = jaw(shape)[5:28]
        top = np.array(
            [[0.80, 0.30, 0.25], [0.35, 0.30, 0.85], [0, 0.16, 1.10], [-0.35, 0.30, 0.85], [-0.80, 0.30, 0.25]]
        )
        edge = place.project(np.concatenate([low * (1.0, 1.03, 1.02), top]))[:, :2]
        canvas.polygon(edge, look.cover_colour, number)
        across = np.linspace(-0.7, 0.7, 9)
        bent = 0.05 * np.cos(np.linspace(-2, 2, 9))
        lines = [place.project(np.stack([across, bent + y, np.full(9, 0.8)], -1))[:, :2] for y in (0.55, 0.75, 0.95)]
        folds = [np.concatenate([line, line[::-1] + (0, 0.02 * unit)]) for line in lines]
        canvas.polygons(folds, tone(look.cover_colour, 0.8))
        return number
    palm = place.project(np.array([0.55, 1.15, 1.0]))
    wrist = palm[:2] + (0.5 * unit, 1.5 * unit)
    canvas.limb(wrist, palm[:2], [0.30 * unit, 0.34 * unit], look.skin, number)
    for finger in range(4):
        root = palm[:2] + ((-0.26 + 0.18 * finger) * unit, -0.15 * unit)
        tip = root + ((-0.24 + 0.10 * finger) * unit, (-0.62 + 0.08 * abs(finger - 1)) * unit)
        canvas.limb(root, tip, [0.10 * unit, 0.095 * unit, 0.075 * unit], tone(look.skin, 1.03), number, domed=True)
    return number


def hidden_landmarks(canvas: Canvas, shape: FaceShape, place: FacePlace, cover: int) -> tuple[np.ndarray, np.ndarray]:
    """The 98 points, float64 (98, 2) pixels, and which of them something hides or the head itself, bool (98,)."""
    points = landmarks(shape)
    placed = place.project(points)
    height, width = canvas.size
    columns = np.clip(np.rint(placed[:, 0]), 0, width - 1).astype(int)
    lines = np.clip(np.rint(placed[:, 1]), 0, height - 1).astype(int)
    hidden = canvas.owner[lines, columns] == cover if cover else np.zeros(98, bool)
    # The outward direction of the skin at a point, about that of an ellipsoid; away from us if z < 0.
    outward = points * (0.95, 0.35, 0.0) + (0, 0, 0.62)
    return placed[:, :2], hidden | ((outward @ place.pose.matrix().T)[:, 2] < 0)

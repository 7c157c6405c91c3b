"""A picture and its truth, painted together: every stroke of colour also says whose pixels it covers.

`Canvas` holds the colours, and for each pixel the object on top (`owner`), that object's part and its surface's depth.
Label maps, masks, boxes and visibility are read from these maps, never guessed from the geometry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..tasks.optional import opencv

Point = tuple[float, float]  # (x, y) pixels; (0, 0) is the centre of the first pixel
Colour = tuple[float, float, float]  # red, green, blue, 0 to 255
Points = Sequence[Point] | Sequence[Sequence[float]] | np.ndarray
Planes = Sequence[np.ndarray | float] | np.ndarray  # three planes, or one colour

# The light comes from the upper left and from the viewer: x right, y down, z towards the viewer; length 1.
LIGHT = (-0.45, -0.55, math.sqrt(1 - 0.45**2 - 0.55**2))
AMBIENT = 0.55


@dataclass(frozen=True)
class Thing:
    """One object of a picture: `kind` names its class, `number` counts from 1 in order of painting."""

    number: int
    kind: str


@dataclass
class Canvas:
    """image: float32 (H, W, 3), 0 to 255, a view of planes (3, H, W), in which blending is fast.

    owner: int32 (H, W), 0 where nothing was painted, else a thing's number; part: uint8 (H, W), the label of the part
    that was painted last; depth: float32 (H, W), pixels towards the viewer, measured from the thing's own centre.
    """

    image: np.ndarray
    planes: np.ndarray = field(init=False)
    owner: np.ndarray = field(init=False)
    part: np.ndarray = field(init=False)
    depth: np.ndarray = field(init=False)
    things: list[Thing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.planes = np.ascontiguousarray(np.moveaxis(self.image, 2, 0), dtype=np.float32)
        self.image = np.moveaxis(self.planes, 0, 2)
        size = self.image.shape[:2]
        self.owner = np.zeros(size, np.int32)
        self.part = np.zeros(size, np.uint8)
        self.depth = np.zeros(size, np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.owner.shape

    def picture(self) -> np.ndarray:
        """The image as uint8 (H, W, 3) RGB."""
        return np.ascontiguousarray(np.moveaxis(np.clip(np.rint(self.planes), 0, 255).astype(np.uint8), 0, 2))

    def add(self, kind: str) -> int:
        """Registers a thing; what is painted with its number belongs to it."""
        self.things.append(Thing(len(self.things) + 1, kind))
        return len(self.things)

    def mask(self, number: int) -> np.ndarray:
        """bool (H, W): the pixels in which the thing is on top."""
        return self.owner == number

    def labels(self, table: dict[str, int], background: int = 0) -> np.ndarray:
        """uint8 (H, W): table[kind] of the thing on top; KeyError for a kind that the table lacks."""
        values = np.array([background] + [table[thing.kind] for thing in self.things], np.uint8)
        return values[self.owner]

    def window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice] | None:
        """The pixels of a box that lie on the canvas, as (rows, columns); None if there are none."""
        height, width = self.size
        x0, x1 = max(0, math.floor(left)), min(width, math.ceil(right) + 1)
        y0, y1 = max(0, math.floor(top)), min(height, math.ceil(bottom) + 1)
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None

    def paint(
        self,
        window: tuple[slice, slice],
        alpha: np.ndarray,  # float32 (h, w), 0 to 1
        colour: Planes,  # float32 (h, w)
        owner: int | None = None,
        part: int = 0,
        depth: np.ndarray | float = 0.0,
    ) -> None:
        """Blends a colour; where alpha is a half or more, the pixel becomes the owner's (None: colour only)."""
        for plane, value in zip(self.planes, colour):
            place = plane[window]
            place += alpha * ((value if isinstance(value, np.ndarray) else np.float32(value)) - place)
        if owner is not None:
            inside = alpha >= 0.5
            self.owner[window][inside] = owner
            self.part[window][inside] = part
            self.depth[window][inside] = depth[inside] if isinstance(depth, np.ndarray) else depth

    def polygon(self, points: Points, colour: Colour | np.ndarray, *args: Any, **options: Any) -> None:
        """A filled polygon with smooth edges; the rest as `polygons`."""
        self.polygons([points], colour, *args, **options)

    def polygons(
        self,
        shapes: Sequence[Points],
        colour: Colour | np.ndarray,  # one colour, or planes (3, H, W) of the canvas's size to paint with
        owner: int | None = None,
        part: int = 0,
        opacity: float = 1.0,
        depth: float = 0.0,
    ) -> None:
        """Filled polygons with smooth edges, as one stroke of colour."""
        corners = [np.asarray(points, np.float64) for points in shapes]
        if not corners:
            return
        every = np.concatenate(corners)
        (left, top), (right, bottom) = every.min(axis=0) - 1, every.max(axis=0) + 1
        window = self.window(left, top, right, bottom)
        if window is None:
            return
        rows, columns = window
        cover = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        cv2 = opencv()
        for points in corners:
            fixed = np.rint((points - (columns.start, rows.start)) * 16).astype(np.int32)
            cv2.fillPoly(cover, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
        through = colour[:, window[0], window[1]] if isinstance(colour, np.ndarray) else colour
        self.paint(window, cover.astype(np.float32) * np.float32(opacity / 255), through, owner, part, depth)

    def ellipse(
        self,
        centre: Point,
        radii: Point,
        colour: Colour,
        owner: int | None = None,
        part: int = 0,
        *,
        angle: float = 0.0,  # degrees, clockwise on the screen
        softness: float = 1.0,  # width of the edge in pixels
        opacity: float = 1.0,
        shaded: bool = False,
        depth: float = 0.0,
        bulge: float = 0.0,  # pixels by which the middle stands nearer than the edge
    ) -> None:
        """A filled ellipse; `shaded` lights it as a ball."""
        rx, ry = max(radii[0], 1e-3), max(radii[1], 1e-3)
        reach = max(rx, ry) * (1 + softness / (2 * min(rx, ry))) + 1
        window = self.window(centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach)
        if window is None:
            return
        x, y = _grid(window, centre)
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        u, v = (x * cosine + y * sine) / rx, (y * cosine - x * sine) / ry
        away = np.sqrt(u * u + v * v)
        alpha = _share((1 - away) * (min(rx, ry) / softness) + 0.5) * opacity
        height = np.sqrt(np.maximum(1 - away * away, 0))
        paint: Planes = colour
        if shaded:
            paint = _lit(colour, u * cosine - v * sine, u * sine + v * cosine, height)
        self.paint(window, alpha.astype(np.float32), paint, owner, part, depth + bulge * height)

    def limb(
        self,
        start: Point | np.ndarray,
        end: Point | np.ndarray,
        radii: Sequence[float],  # pixels, at equal distances from start to end
        colour: Colour,
        owner: int,
        part: int = 0,
        *,
        depths: Point = (0.0, 0.0),  # of the axis, at start and end
        flatness: float = 1.0,  # how far the surface stands out, as a share of the radius
        cap: float = 1.0,  # 1 rounds the ends; larger flattens them
        domed: bool = False,  # the ends are lit as half balls; else as what goes on into the next limb
        stripes: tuple[Colour, float, bool] | None = None,  # their colour, period in pixels, along the limb or across
    ) -> None:
        """A round limb between two points, lit as a solid: one radius for each of its equal steps, at least two."""
        reach = max(radii) + 1
        window = self.window(
            min(start[0], end[0]) - reach,
            min(start[1], end[1]) - reach,
            max(start[0], end[0]) + reach,
            max(start[1], end[1]) + reach,
        )
        if window is None:
            return
        x, y = _grid(window, start)
        length = math.hypot(end[0] - start[0], end[1] - start[1])
        ax, ay = ((end[0] - start[0]) / length, (end[1] - start[1]) / length) if length > 1e-6 else (0.0, 1.0)
        along, across = x * ax + y * ay, y * ax - x * ay
        share = _share(along / max(length, 1e-6))
        radius = _profile(share, radii)
        u = across / radius
        v = (along - share * length) * cap / radius
        away2 = u * u + v * v
        alpha = _share((1 - np.sqrt(away2)) * radius + 0.5).astype(np.float32)
        height = np.sqrt(np.maximum(1 - away2, 0))
        base: Planes = colour
        if stripes is not None:
            second, period, lengthwise = stripes
            wave = np.mod((across if lengthwise else along) / period, 1.0) < 0.45
            base = [np.where(wave, np.float32(a), np.float32(b)) for a, b in zip(second, colour)]
        depth = depths[0] + share * (depths[1] - depths[0]) + flatness * radius * height
        if not domed:
            v, height = 0.0 * v, np.sqrt(np.maximum(1 - u * u, 0))
        paint = _lit(base, v * ax - u * ay, v * ay + u * ax, height)
        self.paint(window, alpha, paint, owner, part, depth)


def _grid(window: tuple[slice, slice], origin: Point | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (1, w) and y (h, 1) of a window's pixels, measured from origin."""
    rows, columns = window
    return (
        np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(origin[0]),
        np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(origin[1]),
    )


def _profile(share: np.ndarray, radii: Sequence[float]) -> np.ndarray:
    """The radius at each share of the way, linear between the given ones and never zero."""
    floor = [max(float(radius), 1e-3) for radius in radii]
    if len(floor) == 2:
        return np.float32(floor[0]) + share * np.float32(floor[1] - floor[0])
    steps = [step / (len(floor) - 1) for step in range(len(floor))]
    return np.interp(share, steps, floor).astype(np.float32)


def _share(values: np.ndarray) -> np.ndarray:
    """Clipped to 0 to 1; on pieces this small the checks of np.clip cost more than its work."""
    return np.maximum(np.minimum(values, 1), 0)


def _lit(colour: Planes, nx: np.ndarray, ny: np.ndarray, nz: np.ndarray) -> list[np.ndarray]:
    """The planes of a matt surface of that colour, with the normal (nx, ny, nz), under LIGHT; float32 (h, w)."""
    facing = np.maximum(nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2], 0)
    shade = (AMBIENT + (1.12 - AMBIENT) * facing).astype(np.float32)
    return [shade * (value if isinstance(value, np.ndarray) else np.float32(value)) for value in colour]

"""A camera over flat ground: metres to pixels, and the faces of boxes that stand there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .canvas import Canvas, Colour, Point


@dataclass(frozen=True)
class View:
    """A camera that looks along the ground. focal, horizon, middle: pixels; height: metres above the ground."""

    focal: float
    horizon: float
    middle: float
    height: float

    def scale(self, distance: float) -> float:
        """Pixels of a metre at a distance in metres."""
        return self.focal / max(distance, 0.5)

    def at(self, x: float, up: float, distance: float) -> Point:
        """The pixel of a place x metres right of the camera, up metres above the ground."""
        scale = self.scale(distance)
        return self.middle + x * scale, self.horizon + (self.height - up) * scale

    def ground(self, corners: Sequence[tuple[float, float]]) -> list[Point]:
        """The pixels of places (x, distance) on the ground."""
        return [self.at(x, 0.0, distance) for x, distance in corners]


def tone(colour: Colour, factor: float) -> Colour:
    """A lighter (above 1) or darker colour."""
    red, green, blue = (min(255.0, factor * value) for value in colour)
    return red, green, blue


def block(
    canvas: Canvas,
    view: View,
    owner: int,
    colour: Colour,
    x: tuple[float, float],  # metres, left and right
    up: tuple[float, float],  # metres, low and high
    distance: tuple[float, float],  # metres, near and far
) -> None:
    """A box: its front, and of its side and top what the camera sees."""
    (left, right), (low, high), (near, far) = x, up, distance
    if high < view.height:
        top = [
            view.at(left, high, near),
            view.at(right, high, near),
            view.at(right, high, far),
            view.at(left, high, far),
        ]
        canvas.polygon(top, tone(colour, 1.15), owner)
    if left > 0 or right < 0:
        edge = left if left > 0 else right
        side = [view.at(edge, low, near), view.at(edge, low, far), view.at(edge, high, far), view.at(edge, high, near)]
        canvas.polygon(side, tone(colour, 0.72), owner)
    front = [view.at(left, low, near), view.at(right, low, near), view.at(right, high, near), view.at(left, high, near)]
    canvas.polygon(front, colour, owner)


def cells(quad: Sequence[Point], columns: int, rows: int, margin: float = 0.22) -> list[list[Point]]:
    """Evenly spaced panes of a quadrilateral, given from its lower left corner round: windows, doors, planks."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad

    def inside(s: float, t: float) -> Point:
        a, b, c, d = (1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t
        return a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy

    panes = []
    for column in range(columns):
        for row in range(rows):
            s0, s1 = (column + margin) / columns, (column + 1 - margin) / columns
            t0, t1 = (row + margin) / rows, (row + 1 - margin) / rows
            panes.append([inside(s0, t0), inside(s1, t0), inside(s1, t1), inside(s0, t1)])
    return panes

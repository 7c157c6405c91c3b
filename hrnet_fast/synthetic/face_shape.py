"""The shape of a face in space: its curves, and on them the landmarks of the four data sets.

Axes of a face that looks at us upright: x right, y down, z towards the viewer; the pupils lie at y = 0, x = -0.4 and
0.4, and the head is about two units wide. "left" and "right" are the picture's, as the data sets number them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FaceShape:
    """Who (widths and lengths, 1 is average) and which expression.

    smile: -1 sad to 1 happy; gape: 0 closed mouth to 1; lids: 0 shut to 1 open; brows: -1 down to 1 raised.
    """

    width: float = 1.0
    chin: float = 1.0
    nose: float = 1.0
    mouth: float = 1.0
    smile: float = 0.0
    gape: float = 0.0
    lids: float = 0.8
    brows: float = 0.0


@dataclass(frozen=True)
class FacePose:
    """Degrees: yaw turns the nose to the right of the picture, pitch lifts it, roll tips the head clockwise."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def matrix(self) -> np.ndarray:
        """Rotation of the face's axes into the picture's, float64 (3, 3)."""
        (cy, sy), (cp, sp), (cr, sr) = (
            (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
            for angle in (self.yaw, self.pitch, self.roll)
        )
        yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return roll @ pitch @ yaw


def random_shape(rng: random.Random, strong: bool) -> FaceShape:
    """A face at random; `strong` gives it an expression that nobody overlooks."""
    width, chin, nose, mouth = (rng.uniform(0.92, 1.08) for _ in range(4))
    smile, gape, lids, brows = rng.uniform(-0.1, 0.7), 0.1 * rng.random(), rng.uniform(0.7, 1.0), rng.uniform(-0.2, 0.3)
    if strong:
        smile, gape, lids, brows = rng.choice(
            ((1.0, 0.55, 0.55, 0.3), (0.0, 1.0, 1.25, 1.0), (-0.9, 0.1, 0.6, -0.8), (0.7, 0.9, 0.08, 0.5))
        )
    return FaceShape(width, chin, nose, mouth, smile, gape, lids, brows)


def _surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth of the face without its nose."""
    return 0.95 * np.sqrt(np.maximum(0.04, 1 - (x / 1.05) ** 2 - ((y - 0.1) / 1.75) ** 2)) - 0.1


def _on_surface(x: np.ndarray, y: np.ndarray, lift: float = 0.0) -> np.ndarray:
    return np.stack([x, y, _surface(x, y) + lift], axis=-1)


def jaw(shape: FaceShape) -> np.ndarray:
    """From the left ear over the chin to the right ear, (33, 3)."""
    angle = np.linspace(-90, 90, 33) * math.pi / 180
    sine, cosine = np.sin(angle), np.cos(angle)
    x = 0.94 * shape.width * np.sign(sine) * np.abs(sine) ** 0.85
    y = -0.05 + (1.30 * shape.chin + 0.16 * shape.gape) * np.abs(cosine) ** 0.82
    return np.stack([x, y, -0.30 + 0.85 * np.abs(cosine) ** 0.7], axis=-1)


def skull(shape: FaceShape) -> np.ndarray:
    """Points all over the head's outside, whose hull is its outline, (n, 3)."""
    around = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    heights = np.linspace(-1.24, 0.3, 12)
    round_ = np.sqrt(np.maximum(0, 1 - ((heights + 0.2) / 1.06) ** 2))
    rings = [
        np.stack([0.99 * shape.width * r * np.cos(around), np.full(48, y), 1.0 * r * np.sin(around) - 0.30], axis=-1)
        for y, r in zip(heights, round_)
    ]
    return np.concatenate([*rings, mask(shape)])


def mask(shape: FaceShape) -> np.ndarray:
    """Points about the bare face: the jaw, the hairline, and the skin between, (n, 3)."""
    t = np.linspace(-1, 1, 31)
    cosine = np.cos(t * math.pi / 2)
    x = 0.95 * shape.width * np.sin(t * math.pi / 2)
    hairline = np.stack([x, -0.74 + 0.62 * np.abs(t) ** 2.5, -0.30 + 1.04 * np.maximum(0, cosine) ** 0.8], axis=-1)
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 8) * shape.width, np.linspace(-0.5, 0.6, 8))
    return np.concatenate([jaw(shape), hairline, _on_surface(x, y).reshape(-1, 3)])


def brow(shape: FaceShape, side: int, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The upper edge from the outer end inwards, and the lower from the inner end outwards; side -1 left, 1 right."""
    t = np.linspace(0, 1, count)
    x = side * (0.72 - 0.54 * t) * shape.width
    arch = 0.09 * np.sin(np.pi * (0.12 + 0.8 * t)) - 0.06 * (1 - t)
    inner = -0.16 * shape.brows * t if shape.brows < 0 else 0.05 * shape.brows * t
    y = -0.29 - arch - 0.12 * max(0.0, shape.brows) - inner
    thick = 0.035 + 0.05 * t
    upper = _on_surface(x, y, 0.03)
    back = np.linspace(1, 0, count)[: count - 1]
    lower = _on_surface(x[::-1][: count - 1], (y + thick)[::-1][: count - 1] - 0.02 * (1 - back), 0.03)
    return upper, lower


def eye(shape: FaceShape, side: int, count: int = 8) -> np.ndarray:
    """The rim, from the picture's left corner over the upper lid and back along the lower, (count, 3)."""
    t = np.linspace(0, 2 * math.pi, count, endpoint=False)
    x = -np.cos(t)
    upper, lower = 0.105 * shape.lids, 0.065 * (0.45 + 0.55 * shape.lids) - 0.02 * max(0.0, shape.smile)
    y = -np.sin(t) * np.where(np.sin(t) >= 0, upper, lower)
    return _on_surface(side * 0.40 * shape.width + 0.19 * x, y, -0.03)


def pupil(shape: FaceShape, side: int) -> np.ndarray:
    """(3,)."""
    return _on_surface(np.array(side * 0.40 * shape.width), np.array(-0.01), 0.0)


def nose(shape: FaceShape) -> np.ndarray:
    """Four points down the ridge to the tip, then five under the nose from left to right, (9, 3)."""
    ridge = np.array([[0, 0.0, 0.92], [0, 0.15, 1.02], [0, 0.30, 1.13], [0, 0.44, 1.24]])
    base = np.array(
        [[-0.18, 0.53, 0.92], [-0.09, 0.565, 0.99], [0, 0.585, 1.04], [0.09, 0.565, 0.99], [0.18, 0.53, 0.92]]
    )
    points = np.concatenate([ridge, base])
    points[:, 1] *= shape.nose
    return points


def mouth(shape: FaceShape, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """The outer rim from the left corner over the upper lip and back, and the inner one likewise (two thirds of it).

    count: points of the outer rim, a multiple of 12; the inner one has count * 2 / 3.
    """
    half = 0.36 * shape.mouth * (1 + 0.18 * shape.smile) * (1 - 0.22 * shape.gape)
    corner = 0.80 * (0.5 + 0.5 * shape.nose) - 0.08 * shape.smile
    middle = corner + 0.09 * shape.smile
    t = np.linspace(0, 2 * math.pi, count, endpoint=False)
    up, side = np.sin(t), -np.cos(t)
    bow = 0.030 * np.exp(-((side / 0.22) ** 2))  # the dip in the upper lip
    bend = (middle - corner) * (1 - side**2)
    y = corner + bend + np.where(up >= 0, -up * 0.105 + bow * up, -up * (0.12 + 0.36 * shape.gape))
    outer = _on_surface(half * side, y, 0.06)
    s = np.linspace(0, 2 * math.pi, count * 2 // 3, endpoint=False)
    up, side = np.sin(s), -np.cos(s)
    bend = (middle - corner) * (1 - side**2)
    y = corner + bend + np.where(up >= 0, -up * (0.02 + 0.01 * shape.gape), -up * (0.025 + 0.33 * shape.gape))
    return outer, _on_surface(0.88 * half * side, y, 0.04)


def landmarks(shape: FaceShape) -> np.ndarray:
    """The 98 points of WFLW ("Look at Boundary", Wu et al., 2018), float64 (98, 3)."""
    left_up, left_low = brow(shape, -1)
    right_up, right_low = brow(shape, 1)
    outer, inner = mouth(shape)
    return np.concatenate(
        [
            jaw(shape),
            np.concatenate([left_up, left_low]),
            # The right brow is numbered from its inner end, above and then back below.
            np.concatenate([right_up[::-1], right_low[::-1]]),
            nose(shape),
            eye(shape, -1),
            eye(shape, 1),
            outer,
            inner,
            pupil(shape, -1)[None],
            pupil(shape, 1)[None],
        ]
    )


_BROWS = (33, 34, 35, 36, 37, 42, 43, 44, 45, 46)
_EYES = (60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75)
# Count of points -> for each of them, the point of WFLW at the same place of the face, in the orders of 300W, COFW and
# AFLW (without ears); their left/right pairs are in HRNet-Facial-Landmark-Detection, lib/utils/transforms.py.
SCHEMES: dict[int, tuple[int, ...]] = {
    98: tuple(range(98)),
    68: (*range(0, 33, 2), *_BROWS, *range(51, 60), *_EYES, *range(76, 96)),
    29: (
        33, 46, 37, 42, 35, 40, 44, 48, 60, 72, 64, 68, 62, 66, 70, 74, 96, 97, 55, 59, 54, 57, 76, 82, 79, 90, 94, 85,
        16,
    ),
    19: (33, 35, 37, 42, 44, 46, 60, 96, 64, 68, 97, 72, 55, 54, 59, 76, 90, 82, 16),
}  # fmt: skip

"""Pictures of faces, and what is true of each: landmarks, hidden points, attributes and box."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..tasks.optional import opencv
from .canvas import Canvas
from .face import FaceLook, FacePlace, draw_face, hidden_landmarks
from .face_shape import SCHEMES, FacePose, random_shape
from .outfits import CLOTH, HAIR, SKIN
from .photographs import background

# The attributes of WFLW, in the order of its list_98pt_rect_attr_*.txt.
ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")
# How often each is given to a face at random.
_SHARES = (0.25, 0.25, 0.2, 0.2, 0.3, 0.15)
LARGE_YAW, LARGE_PITCH = 25.0, 18.0  # degrees; beyond either, the pose counts as large
_IRIS = ((84, 56, 36), (70, 110, 150), (90, 120, 80), (60, 42, 30))


@dataclass(frozen=True)
class FaceTruth:
    """One face of a picture, in its pixels; (0, 0) is the centre of the first pixel.

    landmarks: float64 (98, 2), WFLW's order; hidden: bool (98,), behind something or on the head's far side.
    attributes: name of ATTRIBUTES -> whether it is true of the picture; yaw, pitch, roll: degrees, as FacePose.
    """

    landmarks: np.ndarray
    hidden: np.ndarray
    attributes: dict[str, bool]
    yaw: float
    pitch: float
    roll: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) about the landmarks."""
        low, high = self.landmarks.min(axis=0), self.landmarks.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def points(self, count: int) -> np.ndarray:
        """The landmarks of a scheme: 98 (WFLW), 68 (300W), 29 (COFW) or 19 (AFLW) points, float64 (count, 2)."""
        if count not in SCHEMES:
            raise ValueError(f"there is no scheme of {count} points; there are {sorted(SCHEMES)}")
        return self.landmarks[list(SCHEMES[count])]

    def occluded(self, count: int) -> np.ndarray:
        """`hidden` of a scheme's points, bool (count,)."""
        self.points(count)
        return self.hidden[list(SCHEMES[count])]


def face_scene(
    seed: int,
    size: tuple[int, int] = (256, 256),
    photographs: str | Path | None = None,
    **attributes: bool,
) -> tuple[np.ndarray, FaceTruth]:
    """One face before a photograph: the picture, uint8 (H, W, 3) RGB, and what is true of it.

    seed: the same seed gives the same picture; size: (H, W). attributes: pose, expression, illumination, make_up,
    occlusion, blur; True or False settles one, the others are drawn. photographs: as `background` takes it.
    """
    rng = random.Random(f"face {seed}")
    canvas = Canvas(background(rng, size, photographs))
    wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
    unknown = wanted.keys() - set(ATTRIBUTES)
    if unknown:
        raise ValueError(f"a face has no attribute {sorted(unknown)[0]!r}; it has {', '.join(ATTRIBUTES)}")
    true = {name: rng.random() < share for name, share in zip(ATTRIBUTES, _SHARES)} | wanted
    pose = _pose(rng, true["pose"])
    shape = random_shape(rng, true["expression"])
    unit = min(size) * rng.uniform(0.16, 0.23)
    middle = (size[1] * rng.uniform(0.42, 0.58), size[0] * rng.uniform(0.42, 0.50))
    place = FacePlace(pose, middle, unit)
    look = FaceLook(
        rng.choice(SKIN),
        rng.choice(HAIR),
        rng.choice(_IRIS),
        rng.choice(CLOTH),
        rng.random() < 0.45,
        true["make-up"],
        rng.choice(("sunglasses", "mask", "hand")) if true["occlusion"] else "none",
        rng.choice(((30, 30, 36), (64, 44, 32), (120, 160, 190))),
    )
    _, cover = draw_face(canvas, shape, look, place)
    points, hidden = hidden_landmarks(canvas, shape, place, cover)
    light, side, sigma = rng.choice((0.32, 0.42, 1.4)), rng.choice((-1, 1)), rng.uniform(0.010, 0.016)
    image = canvas.image
    if true["illumination"]:
        image = _relight(image, light, side)
    if true["blur"]:
        image = opencv().GaussianBlur(np.clip(image, 0, 255), (0, 0), sigma * min(size))
    picture = np.ascontiguousarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    return picture, FaceTruth(np.round(points, 3), hidden, true, pose.yaw, pose.pitch, pose.roll)


def _pose(rng: random.Random, large: bool) -> FacePose:
    yaw, pitch, roll = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(-1, 1)
    if not large:
        return FacePose(0.8 * LARGE_YAW * yaw, 0.7 * LARGE_PITCH * pitch, 14 * roll)
    turn = LARGE_YAW + 3 + 17 * abs(yaw)
    return FacePose(turn if yaw > 0 else -turn, 0.9 * LARGE_PITCH * pitch, 25 * roll)


def _relight(image: np.ndarray, gain: float, side: int) -> np.ndarray:
    """Far too dark or too bright, and more so on one side."""
    slope = np.linspace(-0.25, 0.25, image.shape[1], dtype=np.float32)[None, :, None] * side
    return np.clip(image, 0, 255) * (np.float32(gain) + slope)

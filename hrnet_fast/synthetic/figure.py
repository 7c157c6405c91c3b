"""One dressed figure, painted limb by limb from the farthest to the nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .body import Pose, joints
from .canvas import Canvas
from .outfits import LIP, Outfit
from .view import tone

Colour = tuple[float, float, float]
# Half-axes of the trunk's section from the neck's root to the hips, in statures: across, and front to back.
_TRUNK = ((0.055, 0.05), (0.118, 0.078), (0.126, 0.088), (0.118, 0.09), (0.105, 0.087), (0.096, 0.085))
SMALL = 60  # pixels of stature; below, an eye is smaller than half a pixel
_EYE_WHITE, _PUPIL = (245, 243, 240), (38, 28, 24)


@dataclass(frozen=True)
class Figure:
    """A painted figure. number: its thing on the canvas; places: joint -> (x, y, depth), pixels; stature: pixels."""

    number: int
    pose: Pose
    outfit: Outfit
    places: dict[str, np.ndarray]
    stature: float


@dataclass
class _Brush:
    """Collects limbs with their depth, then paints them in order."""

    canvas: Canvas
    number: int
    places: dict[str, np.ndarray]
    unit: float  # pixels of one stature
    strokes: list[tuple[float, int, Callable[[], None]]]

    def at(self, depth: float, paint: Callable[[], None]) -> None:
        self.strokes.append((depth, len(self.strokes), paint))

    def limb(
        self,
        start: str | np.ndarray,
        end: str | np.ndarray,
        radii: Sequence[float],
        colour: Colour,
        part: int,
        *,
        lift: float = 0.0,
        share: tuple[float, float] = (0.0, 1.0),
        **options: Any,
    ) -> None:
        """Between two joints (names or points), or a share of the way; radii in statures; lift moves it nearer."""
        a = self.places[start] if isinstance(start, str) else start
        b = self.places[end] if isinstance(end, str) else end
        # Ordered by the whole limb's depth, so that a sleeve stays on its arm.
        depth = (a[2] + b[2]) / 2 + lift * self.unit
        a, b = a + (b - a) * share[0], a + (b - a) * share[1]
        pixels = [radius * self.unit for radius in radii]
        self.at(
            depth,
            lambda: self.canvas.limb(
                (a[0], a[1]), (b[0], b[1]), pixels, colour, self.number, part, depths=(a[2], b[2]), **options
            ),
        )

    def ball(
        self,
        centre: np.ndarray,
        radii: tuple[float, float],
        colour: Colour,
        part: int,
        *,
        lift: float = 0.0,
        angle: float = 0.0,
        shaded: bool = True,
    ) -> None:
        self.at(
            centre[2] + lift * self.unit,
            lambda: self.canvas.ellipse(
                (centre[0], centre[1]),
                (radii[0] * self.unit, radii[1] * self.unit),
                colour,
                self.number,
                part,
                angle=angle,
                shaded=shaded,
                depth=centre[2],
                bulge=min(radii) * self.unit,
            ),
        )

    def finish(self) -> None:
        for _, _, paint in sorted(self.strokes, key=lambda stroke: stroke[:2]):
            paint()


def draw_figure(
    canvas: Canvas,
    pose: Pose,
    outfit: Outfit,
    foot: tuple[float, float],  # (x, y) pixels: the ground between the feet
    stature: float,  # pixels, of the upright body
    kind: str = "person",
    shadow: bool = True,
) -> Figure:
    """Paints a figure on top of what is there; canvas.part gets the labels of LIP."""
    origin = np.array([foot[0], foot[1], 0.0])
    directions = ("head_left", "head_up", "head_front")
    places = {name: place if name in directions else place * stature + origin for name, place in joints(pose).items()}
    if shadow:
        spread = abs(places["left_ankle"][0] - places["right_ankle"][0]) / 2
        middle = (places["left_ankle"][0] + places["right_ankle"][0]) / 2
        canvas.ellipse(
            (middle + 0.06 * stature, foot[1]),
            (spread + 0.13 * stature, 0.035 * stature),
            (20, 20, 26),
            softness=0.03 * stature + 1,
            opacity=0.5,
        )
    number = canvas.add(kind)
    brush = _Brush(canvas, number, places, stature, [])
    for side in ("left", "right"):
        _leg(brush, outfit, side)
        _arm(brush, outfit, side)
    _trunk(brush, outfit)
    _head(brush, outfit)
    brush.finish()
    return Figure(number, pose, outfit, places, stature)


def _leg(brush: _Brush, outfit: Outfit, side: str) -> None:
    hip, knee, ankle, toe = (f"{side}_{name}" for name in ("hip", "knee", "ankle", "toe"))
    skin, leg = outfit.skin, LIP[f"{side}-leg"]
    b = outfit.build
    thigh, shank = [0.050 * b, 0.050 * b, 0.036 * b], [0.036 * b, 0.037 * b, 0.029 * b, 0.021 * b]
    covered = outfit.bottom == "pants" or outfit.top == "jumpsuit"
    if covered:
        cloth, label = outfit.bottom_colour, outfit.bottom_label
        brush.limb(hip, knee, [radius * 1.10 for radius in thigh], cloth, label)
        brush.limb(knee, ankle, [0.040 * b, 0.040 * b, 0.034 * b, 0.031 * b], cloth, label, share=(0, 0.96), cap=1.6)
    else:
        brush.limb(hip, knee, thigh, skin, leg, share=(0.35, 1))  # the rest is under cloth
        brush.limb(knee, ankle, shank, skin, leg)
        if outfit.bottom == "shorts":
            shorts = [0.057 * b, 0.055 * b]
            brush.limb(
                hip, knee, shorts, outfit.bottom_colour, outfit.bottom_label, lift=0.003, share=(0, 0.62), cap=2.5
            )
        if outfit.socks:
            socks = [0.028 * b, 0.025 * b]
            brush.limb(knee, ankle, socks, outfit.accent, LIP["socks"], lift=0.003, share=(0.62, 1), cap=2)
    heel = brush.places[ankle] + np.array([0, 0.012, -0.004]) * brush.unit
    brush.limb(heel, toe, [0.027, 0.025, 0.019], outfit.shoe_colour, LIP[f"{side}-shoe"], lift=0.004, domed=True)


def _arm(brush: _Brush, outfit: Outfit, side: str) -> None:
    shoulder, elbow, wrist, hand = (f"{side}_{name}" for name in ("shoulder", "elbow", "wrist", "hand"))
    arm, b = LIP[f"{side}-arm"], outfit.build
    upper, lower = [0.034 * b, 0.031 * b, 0.026 * b], [0.026 * b, 0.025 * b, 0.018 * b]
    cloth = (outfit.top_colour, outfit.top_label)
    if outfit.top in ("shirt", "coat", "jumpsuit"):
        wide = 1.22 if outfit.top == "coat" else 1.10
        brush.limb(shoulder, elbow, [radius * wide for radius in upper], *cloth, stripes=_stripes(brush, outfit))
        brush.limb(elbow, wrist, [radius * wide for radius in lower], *cloth, stripes=_stripes(brush, outfit))
    else:
        bare = outfit.top == "vest"
        brush.limb(shoulder, elbow, upper, outfit.skin, arm, share=(0.0 if bare else 0.3, 1))
        brush.limb(elbow, wrist, lower, outfit.skin, arm)
        if not bare:
            sleeve = [0.041 * b, 0.037 * b]
            stripes = _stripes(brush, outfit)
            brush.limb(shoulder, elbow, sleeve, *cloth, lift=0.003, share=(0, 0.5), cap=1.5, stripes=stripes)
    colour, part = (outfit.accent, LIP["glove"]) if outfit.gloves else (outfit.skin, arm)
    brush.limb(wrist, hand, [0.018, 0.024, 0.017], colour, part, lift=0.002, domed=True)


def _stripes(brush: _Brush, outfit: Outfit) -> tuple[Colour, float, bool] | None:
    return None if outfit.stripes is None else (outfit.stripes, max(0.045 * brush.unit, 3.0), False)


def _trunk(brush: _Brush, outfit: Outfit) -> None:
    places, b = brush.places, outfit.build
    thorax, pelvis = places["thorax"], places["pelvis"]
    # How wide the body looks depends on how far it has turned: the half-axes of its section.
    across = places["left_shoulder"] - places["right_shoulder"]
    turned = min(1.0, abs(across[0]) / max(np.linalg.norm(across), 1e-6))
    wide = [_section(turned, w * b, d * b) for w, d in _TRUNK]
    hips = [_section(turned, w * b, d * b) for w, d in ((0.094, 0.085), (0.102, 0.092), (0.108, 0.094))]
    brush.limb(
        thorax, pelvis, hips, outfit.bottom_colour, outfit.bottom_label, share=(0.78, 1.06), cap=1.8, flatness=0.6
    )
    if outfit.bottom == "skirt" or outfit.top == "dress":
        _skirt(brush, outfit, hips)
    options = {"flatness": 0.6, "cap": 3.2, "stripes": _stripes(brush, outfit)}
    brush.limb(thorax, pelvis, wide, outfit.top_colour, outfit.top_label, lift=0.004, share=(-0.10, 0.86), **options)
    if outfit.top == "coat":
        _coat(brush, outfit, hips)
    neck, up = places["neck"], places["thorax"] + np.array([0, 0.01, 0]) * brush.unit
    # LIP has no label for the neck; here it counts as face, to which it leads.
    brush.limb(up, neck, [0.037 * b, 0.030 * b, 0.030 * b], outfit.skin, LIP["face"], lift=0.01)
    if outfit.scarf:
        low = up + (neck - up) * 0.35
        brush.limb(up, low, [0.062 * b, 0.054 * b], outfit.accent, LIP["scarf"], lift=0.03, cap=1.6)


def _section(turned: float, width: float, depth: float) -> float:
    """Half of what an ellipse with these half-axes covers, seen from the front (turned 1) to the side (0)."""
    return float(np.sqrt((width * turned) ** 2 + depth * depth * (1 - turned * turned)))


def _skirt(brush: _Brush, outfit: Outfit, hips: list[float]) -> None:
    places = brush.places
    knees = (places["left_knee"] + places["right_knee"]) / 2
    apart = float(np.linalg.norm((places["left_knee"] - places["right_knee"])[:2])) / brush.unit / 2
    hem = max(hips[-1] * 1.12, apart + 0.055)
    label = outfit.top_label if outfit.top == "dress" else outfit.bottom_label
    colour = outfit.top_colour if outfit.top == "dress" else outfit.bottom_colour
    stripes = (tuple(0.86 * c for c in colour), max(0.05 * brush.unit, 3.0), True)  # folds
    waist = places["pelvis"] + (places["thorax"] - places["pelvis"]) * 0.2
    radii = [hips[0], hips[-1], hem]
    brush.limb(waist, knees, radii, colour, label, lift=0.06, share=(0, 0.86), cap=4, flatness=0.5, stripes=stripes)


def _coat(brush: _Brush, outfit: Outfit, hips: list[float]) -> None:
    places = brush.places
    knees = (places["left_knee"] + places["right_knee"]) / 2
    low = places["pelvis"] + (knees - places["pelvis"]) * 0.45
    radii = [hips[0] * 1.04, hips[1] * 1.05, hips[2] * 1.08]
    waist = places["pelvis"] + (places["thorax"] - places["pelvis"]) * 0.3
    brush.limb(
        waist,
        low,
        radii,
        outfit.top_colour,
        outfit.top_label,
        lift=0.05,
        cap=4,
        flatness=0.5,
        stripes=_stripes(brush, outfit),
    )
    if places["head_front"][2] > 0:
        seam = tone(outfit.top_colour, 0.6)
        shift = np.array([0, 0, 0.09]) * brush.unit
        brush.limb(places["thorax"] + shift, low + shift, [0.004, 0.004], seam, outfit.top_label, lift=0.08, flatness=0)


def _head(brush: _Brush, outfit: Outfit) -> None:
    places, unit = brush.places, brush.unit
    middle, left, up, front = (places[name] for name in ("head", "head_left", "head_up", "head_front"))
    lean = float(np.degrees(np.arctan2(-up[0], -up[1]))) * -1.0
    sideways = abs(front[0])
    width = _section(1 - sideways, 0.053, 0.061)
    brush.ball(middle, (width, 0.070), outfit.skin, LIP["face"], lift=0.03, angle=lean)
    for name in ("left_ear", "right_ear") if unit > SMALL else ():
        ear = places[name]
        brush.ball(ear, (0.009, 0.016), outfit.skin, LIP["face"], lift=0.031 if ear[2] > middle[2] - 0.02 * unit else 0)
    _hair(brush, outfit, middle, up, front, width, lean)
    if unit > SMALL:
        _features(brush, outfit, left, front, lean)


def _hair(
    brush: _Brush, outfit: Outfit, middle: np.ndarray, up: np.ndarray, front: np.ndarray, width: float, lean: float
) -> None:
    unit = brush.unit
    top = middle + up * 0.024 * unit - front * 0.014 * unit
    behind = middle - front * 0.020 * unit + up * 0.010 * unit
    if outfit.hair != "bald":
        # Behind the face when it looks at us, and over the head when it looks away.
        lift = 0.024 if front[2] > 0 else 0.055
        brush.ball(behind, (width * 1.10, 0.066), outfit.hair_colour, LIP["hair"], lift=lift, angle=lean)
        fringe = middle + up * 0.045 * unit + front * 0.004 * unit
        brush.ball(fringe, (width * 0.99, 0.027), outfit.hair_colour, LIP["hair"], lift=0.034, angle=lean)
        if outfit.hair == "long":
            low = behind - up * 0.085 * unit
            # Behind the neck too, however far the head leans forward.
            back = (brush.places["thorax"][2] - (behind[2] + low[2]) / 2) / unit - 0.03
            radii = [width * 1.12, width * 1.18, width * 0.95]
            lift = min(-0.005, back) if front[2] > 0 else 0.056
            brush.limb(behind, low, radii, outfit.hair_colour, LIP["hair"], lift=lift, cap=1.4)
        if outfit.hair == "bun":
            brush.ball(top + up * 0.052 * unit, (0.026, 0.024), outfit.hair_colour, LIP["hair"], lift=0.02)
    if outfit.hat != "none":
        crown = middle + up * 0.040 * unit - front * 0.004 * unit
        brush.ball(crown, (width * 1.13, 0.042), outfit.hat_colour, LIP["hat"], lift=0.06, angle=lean)
        if outfit.hat == "cap":
            brim = middle + up * 0.026 * unit + front * 0.058 * unit
            dark = tone(outfit.hat_colour, 0.75)
            brush.ball(brim, (0.95 * width, 0.015), dark, LIP["hat"], lift=0.03, angle=lean)


def _features(brush: _Brush, outfit: Outfit, left: np.ndarray, front: np.ndarray, lean: float) -> None:
    places, unit = brush.places, brush.unit
    face, lift = LIP["face"], 0.036
    for name in ("left_eye", "right_eye"):
        eye = places[name]
        if front[2] < 0.15 or eye[2] < places["head"][2] + 0.012 * unit:
            continue
        open_ = max(0.35, front[2])
        brush.ball(eye, (0.0095 * open_, 0.006), _EYE_WHITE, face, lift=lift, angle=lean, shaded=False)
        brush.ball(eye, (0.0045, 0.005), _PUPIL, face, lift=lift + 0.001, shaded=False)
    if front[2] > 0.1:
        dark = tone(outfit.skin, 0.80)
        lips = (0.72 * outfit.skin[0] + 30, 0.45 * outfit.skin[1], 0.45 * outfit.skin[2])
        brush.ball(places["nose"], (0.008, 0.012), dark, face, lift=lift, angle=lean)
        brush.ball(
            places["mouth"], (0.015 * max(0.4, front[2]), 0.005), lips, face, lift=lift, angle=lean, shaded=False
        )
        if outfit.sunglasses:
            bridge = (places["left_eye"] + places["right_eye"]) / 2
            half = left * 0.026 * unit
            brush.limb(bridge - half, bridge + half, [0.012, 0.010, 0.012], (24, 24, 30), LIP["sunglasses"], lift=0.05)

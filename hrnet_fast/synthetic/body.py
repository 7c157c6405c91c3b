"""A body in space: random poses within the limits of the joints, and where every joint then is.

Lengths are shares of the stature: Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1 (after
Drillis and Contini). Axes of the body: x to its own left, y up, z forward. Axes of the picture: x right, y down,
z towards the viewer.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

UPPER_ARM, FOREARM, HAND = 0.186, 0.146, 0.070
THIGH, SHANK, FOOT = 0.245, 0.246, 0.152
ANKLE_HEIGHT = 0.039
SHOULDER_HALF, HIP_HALF = 0.115, 0.072  # joint centres; the figure's widths count the flesh outside of them
TRUNK = 0.288  # hip to shoulder height
NECK, HEAD_HALF = 0.052, 0.065  # shoulder line to chin, chin to the head's middle

# Limits in degrees (low, high); every pose is clipped to them. Rounded from the American Academy of Orthopaedic
# Surgeons' norms of joint motion.
LIMITS = {
    "lean": (-20, 60), "bend": (-25, 25),
    "head_yaw": (-70, 70), "head_pitch": (-40, 40), "head_roll": (-30, 30),
    "shoulder": (-50, 175), "spread": (0, 160), "turn": (-80, 80), "elbow": (0, 145),
    "hip": (-20, 115), "aside": (-15, 45), "knee": (0, 135),
}  # fmt: skip
_TRUNK_ANGLES = ("lean", "bend", "head_yaw", "head_pitch", "head_roll")

# kind -> angles as (middle, spread). left_/right_ before a name; "near"/"far" sides are mirrored at random.
_STANCE = {"left_hip": (3, 6), "right_hip": (0, 5), "left_knee": (4, 4), "right_knee": (4, 4)}
_ARMS_DOWN = {
    "left_shoulder": (5, 12), "right_shoulder": (5, 12), "left_spread": (12, 7), "right_spread": (12, 7),
    "left_elbow": (18, 14), "right_elbow": (18, 14),
}  # fmt: skip
KINDS: dict[str, dict[str, tuple[float, float]]] = {
    "stand": {**_STANCE, **_ARMS_DOWN},
    "walk": {
        "lean": (4, 3), "left_hip": (24, 5), "right_hip": (-14, 4), "left_knee": (8, 5), "right_knee": (24, 8),
        "left_shoulder": (-22, 8), "right_shoulder": (26, 8), "left_spread": (7, 4), "right_spread": (7, 4),
        "left_elbow": (20, 8), "right_elbow": (28, 8),
    },
    "run": {
        "lean": (14, 4), "left_hip": (58, 8), "right_hip": (-16, 4), "left_knee": (75, 10), "right_knee": (42, 14),
        "left_shoulder": (-42, 7), "right_shoulder": (44, 9), "left_spread": (12, 4), "right_spread": (12, 4),
        "left_elbow": (88, 8), "right_elbow": (92, 8),
    },
    "wave": {
        **_STANCE, **_ARMS_DOWN, "right_spread": (105, 18), "right_elbow": (75, 25), "right_shoulder": (0, 8),
        "right_turn": (70, 10),
    },
    "cheer": {
        **_STANCE, "left_spread": (140, 12), "right_spread": (140, 12), "left_elbow": (22, 18), "right_elbow": (22, 18),
        "left_aside": (14, 6), "right_aside": (14, 6), "left_turn": (60, 20), "right_turn": (60, 20),
    },
    "hips": {
        **_STANCE, "left_spread": (38, 5), "right_spread": (38, 5), "left_elbow": (100, 8), "right_elbow": (100, 8),
        "left_shoulder": (-14, 4), "right_shoulder": (-14, 4), "left_turn": (-72, 6), "right_turn": (-72, 6),
        "left_aside": (8, 4), "right_aside": (8, 4),
    },
    "squat": {
        "lean": (38, 6), "left_hip": (100, 8), "right_hip": (100, 8), "left_knee": (108, 10), "right_knee": (108, 10),
        "left_shoulder": (70, 15), "right_shoulder": (70, 15), "left_elbow": (20, 12), "right_elbow": (20, 12),
        "left_aside": (16, 6), "right_aside": (16, 6), "left_spread": (8, 4), "right_spread": (8, 4),
    },
    "ride": {
        "lean": (26, 4), "left_hip": (78, 3), "right_hip": (44, 3), "left_knee": (92, 4), "right_knee": (42, 4),
        "left_shoulder": (78, 4), "right_shoulder": (78, 4), "left_elbow": (16, 4), "right_elbow": (16, 4),
    },
    "reach": {
        **_STANCE, **_ARMS_DOWN, "lean": (12, 6), "left_shoulder": (88, 22), "left_elbow": (14, 12),
        "right_hip": (-8, 4), "right_knee": (12, 6),
    },
}  # fmt: skip


ON_FOOT = tuple(sorted(KINDS.keys() - {"ride"}))  # a rider sits on something


@dataclass(frozen=True)
class Pose:
    """kind: a name of KINDS; yaw: degrees that the body turns to its left, 0 faces the viewer; angles: degrees."""

    kind: str
    yaw: float
    angles: dict[str, float]


def random_pose(rng: random.Random, kind: str | None = None, yaw: float | None = None) -> Pose:
    """A pose of a kind, its angles drawn about the kind's own and clipped to LIMITS, its sides swapped at random."""
    kind = rng.choice(ON_FOOT) if kind is None else kind
    if kind not in KINDS:
        raise ValueError(f"unknown pose {kind!r}; there are {', '.join(sorted(KINDS))}")
    middles: dict[str, tuple[float, float]] = {
        "head_yaw": (0, 25), "head_pitch": (4, 9), "head_roll": (0, 7), "bend": (0, 4), "lean": (0, 3), **KINDS[kind],
    }  # fmt: skip
    swap = rng.random() < 0.5
    angles = {}
    for side in ("left", "right"):
        for name in LIMITS.keys() - set(_TRUNK_ANGLES):
            angles[f"{side}_{name}"] = 0.0
    for name in _TRUNK_ANGLES:
        angles[name] = 0.0
    for name, (middle, spread) in middles.items():
        side, _, joint = name.partition("_")
        if side in ("left", "right"):
            name = f"{'right' if (side == 'left') == swap else 'left'}_{joint}"
        else:
            joint = name
        low, high = LIMITS[joint]
        angles[name] = min(high, max(low, middle + spread * (2 * rng.random() - 1)))
    turn = 360 * rng.random()
    if yaw is None:
        # Three of four people more or less face the camera, as in the photographs that people take.
        yaw = (turn - 180) * 0.35 if rng.random() < 0.75 else turn - 180
    return Pose(kind, yaw, angles)


def _rx(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _ry(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _rz(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def joints(pose: Pose) -> dict[str, np.ndarray]:
    """Every joint and landmark in shares of the stature, in the picture's axes, its origin between the feet's soles.

    Names: pelvis, thorax, neck (chin's height), head (middle), crown, nose, and left_/right_ of eye, ear, shoulder,
    elbow, wrist, hand, hip, knee, ankle, toe; the three directions of the head as head_left, head_up, head_front.
    """
    a = pose.angles
    down = np.array([0.0, -1.0, 0.0])
    trunk = _rz(a["bend"]) @ _rx(a["lean"])  # leaning forward tips the spine towards +z
    found: dict[str, np.ndarray] = {"pelvis": np.zeros(3)}
    thorax = trunk @ np.array([0, TRUNK, 0])
    found["thorax"] = thorax
    head = _ry(a["head_yaw"]) @ _rx(a["head_pitch"] - 0.5 * a["lean"]) @ _rz(a["head_roll"])
    head = trunk @ head
    found["neck"] = thorax + trunk @ np.array([0, NECK, 0.012])
    found["head"] = found["neck"] + head @ np.array([0, HEAD_HALF, 0.012])
    found |= _head_points(found["head"], head)
    for side, sign in (("left", 1), ("right", -1)):
        found |= _arm(a, side, sign, thorax, trunk, down)
        found |= _leg(a, side, sign, down)
    return _to_picture(found, pose.yaw)


def _head_points(middle: np.ndarray, head: np.ndarray) -> dict[str, np.ndarray]:
    """On a head 0.130 high, 0.096 wide and 0.116 deep (shares of the stature)."""
    places = {
        "crown": (0, 0.065, 0), "nose": (0, -0.008, 0.062),
        "left_eye": (0.018, 0.008, 0.050), "right_eye": (-0.018, 0.008, 0.050),
        "left_ear": (0.047, 0.0, 0.0), "right_ear": (-0.047, 0.0, 0.0),
        "mouth": (0, -0.032, 0.054),
    }  # fmt: skip
    found = {name: middle + head @ np.array(place) for name, place in places.items()}
    axes = {"head_left": head[:, 0], "head_up": head[:, 1], "head_front": head[:, 2]}
    return found | axes


def _arm(
    a: dict[str, float], side: str, sign: int, thorax: np.ndarray, trunk: np.ndarray, down: np.ndarray
) -> dict[str, np.ndarray]:
    upper = trunk @ _rz(sign * a[f"{side}_spread"]) @ _rx(-a[f"{side}_shoulder"]) @ _ry(sign * a[f"{side}_turn"])
    lower = upper @ _rx(-a[f"{side}_elbow"])
    shoulder = thorax + trunk @ np.array([sign * SHOULDER_HALF, -0.016, 0])
    elbow = shoulder + upper @ down * UPPER_ARM
    wrist = elbow + lower @ down * FOREARM
    hand = wrist + lower @ down * HAND
    return {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist, f"{side}_hand": hand}


def _leg(a: dict[str, float], side: str, sign: int, down: np.ndarray) -> dict[str, np.ndarray]:
    upper = _rz(sign * a[f"{side}_aside"]) @ _rx(-a[f"{side}_hip"])
    lower = upper @ _rx(a[f"{side}_knee"])
    hip = np.array([sign * HIP_HALF, 0, 0])
    knee = hip + upper @ down * THIGH
    ankle = knee + lower @ down * SHANK
    # The sole stays near the ground: the foot gives back most of the shank's tilt.
    tilt = a[f"{side}_knee"] - a[f"{side}_hip"]
    foot = lower @ _rx(-0.75 * tilt) @ _ry(sign * 8)
    toe = ankle + foot @ np.array([0, -0.6 * ANKLE_HEIGHT, 0.72 * FOOT])
    return {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle, f"{side}_toe": toe}


_DIRECTIONS = ("head_left", "head_up", "head_front")


def _to_picture(found: dict[str, np.ndarray], yaw: float) -> dict[str, np.ndarray]:
    turn = _ry(yaw)
    # A camera at chest height looks slightly down; y points down in a picture.
    view = np.diag([1.0, -1.0, 1.0]) @ _rx(6) @ turn
    turned = {name: view @ place for name, place in found.items()}
    ground = max(turned[f"{side}_{end}"][1] for side in ("left", "right") for end in ("ankle", "toe"))
    shift = np.array([0, ground + 0.5 * ANKLE_HEIGHT, 0])
    return {name: place if name in _DIRECTIONS else place - shift for name, place in turned.items()}

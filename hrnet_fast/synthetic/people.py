"""Pictures of people, and what is true of each of them: keypoints, visibility, mask, box and area."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .body import random_pose
from .canvas import Canvas
from .figure import Figure, draw_figure
from .outfits import random_outfit
from .photographs import background, noise
from .view import tone

# The order of COCO's person_keypoints_*.json, "categories"[0]["keypoints"].
COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
# The order of MPII Human Pose, and the joint of the body that each one is.
MPII_KEYPOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "neck",
    "crown", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
ON_THE_HEAD = {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
# How far a body's surface may stand in front of a point that still counts as seen, in statures: flesh lies over a
# joint, but hardly anything over an eye.
FLESH, FACE = 0.09, 0.03
SMALL_AREA = 32 * 32  # pixels; COCO's "small", of which its annotators marked no keypoints
LEAST_PIXELS = 64  # fewer visible ones are no person to annotate


@dataclass(frozen=True)
class PersonTruth:
    """One person of a picture, in its pixels; (0, 0) is the centre of the first pixel.

    keypoints: float64 (17, 3), COCO's order; x, y, and 2 visible, 1 hidden by something or by the body itself,
    0 outside the picture (x and y are then 0). mpii: float64 (16, 3), MPII's order, the same marks.
    box: (x, y, width, height), tight about the mask; area: pixels of the mask; mask: bool (H, W), visible pixels.
    head: (left, top, right, bottom) of the whole head, also where it is hidden or outside.
    crowd: several people as one region, without keypoints.
    """

    keypoints: np.ndarray
    mpii: np.ndarray
    box: tuple[float, float, float, float]
    area: int
    mask: np.ndarray
    head: tuple[float, float, float, float]
    crowd: bool = False

    @property
    def num_keypoints(self) -> int:
        """How many keypoints are marked, seen or hidden."""
        return int((self.keypoints[:, 2] > 0).sum())


def figure_scene(
    seed: int,
    size: tuple[int, int] = (480, 640),
    people: int | None = None,
    photographs: str | Path | None = None,
    crowds: bool = True,
    spread: float = 1.0,
) -> tuple[np.ndarray, list[PersonTruth]]:
    """People on a floor before a photograph, from the farthest to the nearest; some hidden behind others or a crate.

    seed: the same seed gives the same picture; size: (H, W); people: how many, None for 1 to 5.
    crowds: now and then a far crowd too. spread: the part of the picture's width, in its middle, that people stand in.
    photographs: a folder for the background, as `background` takes it.
    Returns the picture, uint8 (H, W, 3) RGB, and the people of whom enough is seen, the crowds last.
    """
    rng = random.Random(f"people {seed}")
    canvas = Canvas(background(rng, size, photographs))
    height, width = size
    horizon = height * rng.uniform(0.22, 0.36)
    camera = rng.uniform(0.78, 1.05)  # the camera's height in statures
    _floor(canvas, rng, horizon)
    count = rng.choices((1, 2, 3, 4, 5), (20, 30, 25, 15, 10))[0] if people is None else people
    crowd = _crowd(canvas, rng, horizon, camera) if crowds and rng.random() < 0.2 else []
    feet = sorted(horizon + height * (0.22 + 0.55 * rng.random()) for _ in range(count))
    span = width * spread
    left = (width - span) / 2
    slots = list(range(count))
    rng.shuffle(slots)
    figures = []
    for slot, foot in zip(slots, feet):
        if rng.random() < 0.25:
            _crate(canvas, rng, horizon, foot - 0.03 * height, camera)
        stature = (foot - horizon) / camera
        x = left + span * (slot + 0.5 + 0.5 * (rng.random() - 0.5)) / count
        figures.append(draw_figure(canvas, random_pose(rng), random_outfit(rng), (x, foot), stature))
    truths = [truth for truth in (person_truth(canvas, figure) for figure in figures) if truth is not None]
    mask = np.isin(canvas.owner, crowd)
    if crowd and mask.sum() >= LEAST_PIXELS:
        nothing = np.zeros((17, 3)), np.zeros((16, 3))
        box = tight_box(mask)
        head = (box[0], box[1], box[0] + box[2], box[1] + box[3])
        truths.append(PersonTruth(*nothing, box, int(mask.sum()), mask, head, crowd=True))
    return canvas.picture(), truths


def person_truth(canvas: Canvas, figure: Figure) -> PersonTruth | None:
    """What the finished picture shows of a figure; None if it shows fewer than LEAST_PIXELS pixels."""
    mask = canvas.mask(figure.number)
    area = int(mask.sum())
    if area < LEAST_PIXELS:
        return None
    coco, mpii = (_marks(canvas, figure, names) for names in (COCO_KEYPOINTS, MPII_KEYPOINTS))
    if area < SMALL_AREA:
        coco = np.zeros_like(coco)
    middle, half = figure.places["head"], 0.07 * figure.stature
    head = (middle[0] - 0.75 * half, middle[1] - half, middle[0] + 0.75 * half, middle[1] + half)
    left, top, right, bottom = (round(float(side), 2) for side in head)
    return PersonTruth(coco, mpii, tight_box(mask), area, mask, (left, top, right, bottom))


def tight_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """(x, y, width, height) of the pixels that are set; a pixel counts with its whole width."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    )


def _marks(canvas: Canvas, figure: Figure, names: tuple[str, ...]) -> np.ndarray:
    """(x, y, mark) of each named joint, x and y to a hundredth of a pixel; float64 (len(names), 3)."""
    height, width = canvas.size
    marks = np.zeros((len(names), 3))
    for row, name in zip(marks, names):
        x, y, depth = (float(value) for value in figure.places[name])
        column, line = round(x), round(y)
        if not (0 <= column < width and 0 <= line < height):
            continue
        over = float(canvas.depth[line, column]) - depth
        near = over <= (FACE if name in ON_THE_HEAD else FLESH) * figure.stature
        seen = canvas.owner[line, column] == figure.number and near
        row[:] = round(x, 2), round(y, 2), 2 if seen else 1
    return marks


def _floor(canvas: Canvas, rng: random.Random, horizon: float) -> None:
    """A floor below the horizon, lighter towards the viewer, with the photograph shining through."""
    height, width = canvas.size
    tone = rng.choice(((150, 132, 112), (128, 134, 140), (168, 150, 120), (112, 124, 108), (170, 168, 164)))
    seed = rng.randrange(2**31)
    top = max(0, int(horizon))
    grain = noise(seed, (height - top, width), coarse=5)
    lighter = np.linspace(0.72, 1.05, height - top, dtype=np.float32)[:, None] * (0.86 + 0.28 * grain)
    for plane, value in zip(canvas.planes, tone):
        plane[top:] = 0.12 * plane[top:] + np.float32(0.88 * value) * lighter
    # Joints between boards run to a vanishing point on the horizon.
    vanishing = width * rng.uniform(0.3, 0.7)
    feet = [(vanishing + board * 0.5, vanishing + board * width * 0.16) for board in range(-12, 13)]
    joints = [[(far, horizon), (near - 1.2, height), (near + 1.2, height)] for far, near in feet]
    canvas.polygons(joints, (60, 54, 50), opacity=0.35)
    canvas.polygon(
        [(0, horizon - 3), (width, horizon - 3), (width, horizon + 2), (0, horizon + 2)], (70, 66, 64), opacity=0.6
    )


def _crate(canvas: Canvas, rng: random.Random, horizon: float, foot: float, camera: float) -> None:
    """A wooden crate on the floor, which hides the legs of those behind it."""
    unit = (foot - horizon) / camera
    x, wide, high = canvas.size[1] * rng.random(), unit * rng.uniform(0.3, 0.5), unit * rng.uniform(0.25, 0.42)
    number = canvas.add("crate")
    wood = rng.choice(((170, 128, 82), (124, 96, 70), (96, 112, 128)))
    lid = tone(wood, 1.22)
    back = 0.12 * unit
    canvas.polygon(
        [(x, foot - high), (x + wide, foot - high), (x + wide - 0.5 * back, foot - high - back),
         (x + 0.5 * back, foot - high - back)], lid, number,
    )  # fmt: skip
    canvas.polygon([(x, foot), (x + wide, foot), (x + wide, foot - high), (x, foot - high)], wood, number)
    heights = [foot - high * plank / 4 for plank in range(1, 4)]
    planks = [[(x, y - 1), (x + wide, y - 1), (x + wide, y + 1), (x, y + 1)] for y in heights]
    canvas.polygons(planks, (60, 44, 30), opacity=0.5)


def _crowd(canvas: Canvas, rng: random.Random, horizon: float, camera: float) -> list[int]:
    """People so far away that they are annotated as one region; their numbers."""
    height, width = canvas.size
    stature = max(10.0, 0.11 * height)
    foot, middle = horizon + stature * camera, width * rng.uniform(0.15, 0.85)
    numbers = []
    for person in range(rng.randrange(6, 11)):
        x = middle + (person - 4) * stature * rng.uniform(0.26, 0.4)
        pose = random_pose(rng, rng.choice(("stand", "walk")))
        place = (x, foot + stature * 0.05 * rng.random())
        numbers.append(draw_figure(canvas, pose, random_outfit(rng), place, stature).number)
    return numbers

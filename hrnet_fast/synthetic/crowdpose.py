"""CrowdPose in its own files (github.com/Jeff-sjtu/CrowdPose), and mmpose's file of person detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..tasks.pose.skeletons import CROWDPOSE
from .coco import detected, plain_numbers
from .files import check_count, scene_seed, write_json, write_picture
from .people import MPII_KEYPOINTS, PersonTruth, figure_scene

_AS_MPII = {"head": "crown"}  # CrowdPose's head is the top of it, and its neck lies where MPII's does
_ORDER = [MPII_KEYPOINTS.index(_AS_MPII.get(name, name)) for name in CROWDPOSE.keypoints]
_LIMBS = 12  # num_keypoints counts these, and neither head nor neck
# "skeleton" of the original files: COCO's first limbs, counted as there
_SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
)  # fmt: skip
CATEGORY = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": list(CROWDPOSE.keypoints),
    "skeleton": [list(pair) for pair in _SKELETON],
}
DETECTIONS = "det_for_crowd_test_0.1_0.5.json"
_FIRST = 100000  # of images and of people
# People of a picture, and the part of its width that they stand in: easy, medium and hard in turn
_CROWDING = ((3, 1.0), (4, 0.45), (6, 0.35))


def write_crowdpose(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (480, 640),
    *,
    split: str = "test",
    photographs: str | Path | None = None,
) -> Path:
    """Writes people closer and closer together as CrowdPose has them, and returns root.

    root/json/crowdpose_<split>.json, root/images/100000.jpg, ..., and root/annotations/det_for_crowd_test_0.1_0.5.json:
    each person's box a little off, its score, and now and then a box with nobody in it. size: (H, W) of the pictures;
    photographs: for the background.
    """
    check_count(images)
    root = Path(root)
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for index in range(images):
        number, (count, spread) = scene_seed(seed, index), _CROWDING[index % len(_CROWDING)]
        picture, drawn = figure_scene(number, size, count, photographs, crowds=False, spread=spread)
        identity = _FIRST + index
        name = f"{identity}.jpg"
        write_picture(root / "images" / name, picture)
        marks = [_marks(person) for person in drawn]
        people = [replace(person, box=_box(person, points)) for person, points in zip(drawn, marks)]
        boxes = [person.box for person in people]
        crowding = {"crowdIndex": round(crowd_index(marks, boxes), 2)}
        entries.append({"file_name": name, "id": identity, "height": size[0], "width": size[1], **crowding})
        for points, box in zip(marks, boxes):
            annotations.append(_annotation(points, box, identity, _FIRST + len(annotations)))
        found += detected(number, people, identity, size)
    content = {"images": entries, "annotations": annotations, "categories": [CATEGORY]}
    write_json(root / "json" / f"crowdpose_{split}.json", content)
    write_json(root / "annotations" / DETECTIONS, found)
    return root


def crowd_index(marks: Sequence[np.ndarray], boxes: Sequence[tuple[float, ...]]) -> float:
    """How many keypoints of others a person's box holds for each one of its own; the mean over people, 0 for nobody.

    marks: (14, 3) each, x, y, visibility. boxes: x, y, width, height. Formula 1 of the paper; people of whose keypoints
    none is in the box are left out.
    """
    ratios = []
    for own, (x, y, width, height) in enumerate(boxes):
        inside = [
            int(((p[:, 2] > 0) & (p[:, :2] >= (x, y)).all(1) & (p[:, :2] <= (x + width, y + height)).all(1)).sum())
            for p in marks
        ]
        if inside[own]:
            ratios.append(sum(inside) / inside[own] - 1)
    return float(np.mean(ratios)) if ratios else 0.0


def _marks(person: PersonTruth) -> np.ndarray:
    """(14, 3) x, y, visibility; all 0 for those who are too small to annotate."""
    return person.mpii[_ORDER] if person.num_keypoints else np.zeros((len(_ORDER), 3))


def _box(person: PersonTruth, marks: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, width, height about what is seen and what is marked: a person whom others hide keeps a whole box."""
    x, y, width, height = person.box
    seen = marks[marks[:, 2] > 0, :2]
    low, high = np.min([(x, y), *seen], 0), np.max([(x + width, y + height), *seen], 0)
    x, y, width, height = np.round([*low, *(high - low)], 2).tolist()
    return x, y, width, height


def _annotation(marks: np.ndarray, box: tuple[float, ...], image: int, identity: int) -> dict[str, Any]:
    return {
        "num_keypoints": int((marks[:_LIMBS, 2] > 0).sum()),
        "iscrowd": 0,
        "keypoints": plain_numbers(marks),
        "image_id": image,
        "bbox": list(box),
        "category_id": 1,
        "id": identity,
    }

"""COCO's person keypoints (cocodataset.org, "Data format") and the official file of person detections."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from ..tasks.optional import opencv
from .files import check_count, scene_seed, write_json, write_picture
from .people import COCO_KEYPOINTS, PersonTruth, figure_scene

# "skeleton" of person_keypoints_*.json: pairs of keypoints, counted from 1.
SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
CATEGORY = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": list(COCO_KEYPOINTS),
    "skeleton": [list(pair) for pair in SKELETON],
}
_OF_KEYPOINTS = ("keypoints", "num_keypoints")
# instances_*.json has more categories, of which none is drawn here
CATEGORIES = [{"supercategory": "person", "id": 1, "name": "person"}]
DETECTIONS = "COCO_val2017_detections_AP_H_56_person.json"


def write_coco(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (480, 640),
    *,
    split: str = "val2017",
    detections: bool = True,
    photographs: str | Path | None = None,
) -> Path:
    """Writes people as COCO has them, and returns root.

    root/annotations/person_keypoints_<split>.json and instances_<split>.json, root/<split>/000000000001.jpg, ..., and
    for detections
    root/person_detection_results/COCO_val2017_detections_AP_H_56_person.json: each person's box a little off, its
    score, and now and then a box with nobody in it. size: (H, W) of the pictures; photographs: for the background.
    """
    check_count(images)
    root = Path(root)
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for index in range(images):
        picture, people = figure_scene(scene_seed(seed, index), size, photographs=photographs)
        identity = index + 1
        name = f"{identity:012d}.jpg"
        write_picture(root / split / name, picture)
        entries.append({"id": identity, "file_name": name, "height": size[0], "width": size[1], "license": 1})
        for person in people:
            annotations.append(annotation(person, identity, len(annotations) + 1))
        found += detected(scene_seed(seed, index), people, identity, size)
    content = {
        "info": {"description": "figures on photographs, drawn by hrnet_fast", "version": "1.0", "year": 2017},
        "licenses": [{"id": 1, "name": "MIT", "url": "https://opensource.org/license/mit"}],
        "images": entries,
        "annotations": annotations,
        "categories": [CATEGORY],
    }
    write_json(root / "annotations" / f"person_keypoints_{split}.json", content)
    objects = [{k: v for k, v in entry.items() if k not in _OF_KEYPOINTS} for entry in annotations]
    content = {**content, "annotations": objects, "categories": CATEGORIES}
    write_json(root / "annotations" / f"instances_{split}.json", content)
    if detections:
        write_json(root / "person_detection_results" / DETECTIONS, found)
    return root


def annotation(person: PersonTruth, image: int, identity: int) -> dict[str, Any]:
    """One entry of "annotations"; a crowd's mask is run lengths, a person's polygons."""
    return {
        "id": identity,
        "image_id": image,
        "category_id": 1,
        "iscrowd": int(person.crowd),
        "num_keypoints": person.num_keypoints,
        "keypoints": plain_numbers(person.keypoints),
        "bbox": list(person.box),
        "area": float(person.area),
        "segmentation": run_lengths(person.mask) if person.crowd else polygons(person.mask),
    }


def plain_numbers(keypoints: np.ndarray) -> list[int | float]:
    """x, y, mark, x, ...; whole numbers without a point, as in COCO's own files."""
    return [int(value) if value == int(value) else float(value) for value in keypoints.ravel()]


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """COCO's uncompressed run lengths: of zeros, ones, zeros, ... down the columns, from the left."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"counts": [0, *lengths] if flat[0] else lengths, "size": list(mask.shape)}


def polygons(mask: np.ndarray) -> list[list[float]]:
    """The outlines x0, y0, x1, y1, ... of a mask's parts; holes are filled, as in COCO's own."""
    cv2 = opencv()
    # Each pixel becomes 2 x 2, so that the outline runs a quarter pixel inside its edge and not through its centre.
    large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # Corners that a line half a pixel away leaves out are left out, unless nothing would remain.
    straight = [(outline, cv2.approxPolyDP(outline, 1.0, True)) for outline in outlines]
    kept = [fewer if len(fewer) >= 3 else outline for outline, fewer in straight if len(outline) >= 3]
    parts = [(outline[:, 0, :] + 0.5) / 2 for outline in kept]
    return [np.round(part, 2).ravel().tolist() for part in parts]


def detected(seed: int, people: list[PersonTruth], image: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """What a good detector would find: boxes off by up to 4 % of their sides, and sometimes one too many."""
    rng = random.Random(f"detections {seed}")
    found = []
    for person in people:
        x, y, width, height = person.box
        dx, dy, dw, dh = (0.04 * (2 * rng.random() - 1) for _ in range(4))
        if not person.crowd:
            box = [x + dx * width, y + dy * height, width * (1 + dw), height * (1 + dh)]
            found.append((box, 0.75 + 0.249 * rng.random()))
    if rng.random() < 0.5:
        width, height = size[1] * rng.uniform(0.08, 0.2), size[0] * rng.uniform(0.15, 0.4)
        found.append(
            ([(size[1] - width) * rng.random(), (size[0] - height) * rng.random(), width, height], 0.3 * rng.random())
        )
    return [
        {
            "image_id": image,
            "category_id": 1,
            "bbox": [round(side, 2) for side in box],
            "score": round(score, 4),
        }
        for box, score in found
    ]

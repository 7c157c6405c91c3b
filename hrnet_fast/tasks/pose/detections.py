"""The official files of person detections."""

from __future__ import annotations

import math
import os
from pathlib import Path

from ..json_fields import WHOLE, field, is_numbers, read_json

_WANTED = (
    "a file of detections, such as COCO_val2017_detections_AP_H_56_person.json, which the README of "
    'github.com/leoxiaobin/deep-high-resolution-net.pytorch links to under "Data preparation", or '
    "CrowdPose's det_for_crowd_test_0.1_0.5.json, which docs/en/dataset_zoo/2d_body_keypoint.md of "
    "github.com/open-mmlab/mmpose links to"
)
PERSON = 1  # lib/dataset/coco.py, _load_coco_person_detection_results
_PLACES = {
    ("COCO", "val2017"): "person_detection_results/COCO_val2017_detections_AP_H_56_person.json",
    ("COCO", "test-dev2017"): "person_detection_results/COCO_test-dev2017_detections_AP_H_609_person.json",
    ("CrowdPose", "test"): "annotations/det_for_crowd_test_0.1_0.5.json",
}


def find_detections(root: Path, dataset: str, split: str) -> Path | None:
    """The official file for a split, if it lies where the official code (CrowdPose: mmpose) has it."""
    place = _PLACES.get((dataset, split))
    return root / place if place and (root / place).exists() else None


def read_detections(
    path: str | os.PathLike[str], threshold: float = 0.0, *, person: int = PERSON
) -> tuple[dict[int, list[tuple[float, float, float, float, float]]], int]:
    """Image id -> people's boxes x, y, width, height, score; and how many were left out because they are no boxes.

    The file is a list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"}; other categories than
    `person`, and scores below `threshold` (TEST.IMAGE_THRE), are passed over.
    Errors: FileNotFoundError; ValueError for another form, naming the first entry with a missing field.
    """
    path = Path(path)
    entries = read_json(path, _WANTED)
    if not isinstance(entries, list):
        raise ValueError(f"{path} is not a list of detections: {_WANTED} is needed")
    boxes: dict[int, list[tuple[float, float, float, float, float]]] = {}
    skipped = 0
    for place, entry in enumerate(entries):
        where = f"{path}: detection {place}"
        image, category = (field(entry, name, where, WHOLE) for name in ("image_id", "category_id"))
        box, score = (field(entry, name, where) for name in ("bbox", "score"))
        if not is_numbers(box, 4) or not is_numbers([score], 1):
            raise ValueError(
                f"{where} has the box {box} and the score {score}; x, y, width, height and a number are needed"
            )
        if category != person or score < threshold:
            continue
        if all(map(math.isfinite, (*box, score))) and min(box[2:]) >= 0 and max(box[2:]) > 0:
            boxes.setdefault(image, []).append((*box, score))
        else:
            skipped += 1
    return boxes, skipped

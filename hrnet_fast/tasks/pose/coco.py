"""COCO keypoints in their original files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ..coco_set import CocoSet
from ..json_fields import field, is_numbers
from .coco_scorer import CocoScorer, average_precision
from .detections import PERSON, find_detections, read_detections
from .nms import OKS_THRE, check_threshold, suppression_of
from .samples import PoseSample
from .skeletons import COCO


class CocoPictures(CocoSet):
    """COCO's pictures, those without people too, in the order of the annotation file: `len` of them, without boxes.

    root: the folder with
        annotations/person_keypoints_<split>.json            (image_info_<split>.json for test splits)
        <split>/*.jpg or images/<split>/*.jpg                 from https://cocodataset.org/#download; test2017 for
            test-dev2017, a part of it
    Errors: FileNotFoundError saying what to download; ValueError for annotations with missing fields or unknown
        categories, naming the first.
    """

    prefix = "person_keypoints"
    unannotated = "nobody is annotated"
    skeleton, keypoints = COCO, 17
    _metric = staticmethod(average_precision)
    nms: str | None = None
    oks_threshold = OKS_THRE

    def __init__(self, root: str | os.PathLike[str], split: str | None = None) -> None:
        super().__init__(root, split)
        self._boxes: dict[int, Any] = {}  # image id -> rows of x, y, width, height, score

    def __iter__(self) -> Iterator[PoseSample]:
        for image in self.annotations["images"]:
            rows = torch.tensor(self._boxes.get(image["id"], []), dtype=torch.float64).reshape(-1, 5)
            yield PoseSample(self._folder / image["file_name"], image["id"], rows[:, :4], rows[:, 4])

    def scorer(self) -> CocoScorer:
        """AP and AR of the pictures that are added."""
        annotations = self.annotations if self.has_annotations else None
        suppression = self.nms, self.oks_threshold, self.skeleton.sigmas
        return CocoScorer(annotations, self._person, *suppression, self._metric)

    def _read_annotations(self) -> None:
        self._person = _person(self.annotations, self._file)
        self._people = self._people_of(self._file)

    def _people_of(self, path: Path) -> dict[int, list[dict[str, Any]]]:
        """Image id -> its people's annotations."""
        people: dict[int, list[dict[str, Any]]] = {}
        numbers = 3 * self.keypoints
        for entry in self.annotations.get("annotations", ()):
            if entry["category_id"] != self._person:
                continue
            where = f"{path}: annotation {entry['id']}"
            if not is_numbers(field(entry, "keypoints", where), numbers):
                raise ValueError(f"{where} has keypoints that are not {numbers} numbers: x, y and visibility of each")
            entry.setdefault("num_keypoints", sum(seen > 0 for seen in entry["keypoints"][2::3]))
            people.setdefault(entry["image_id"], []).append(entry)
        return people


class CocoKeypoints(CocoPictures):
    """COCO's pictures with the boxes of their people.

    root, split: as `CocoPictures`, and optionally
        person_detection_results/COCO_val2017_detections_AP_H_56_person.json      from the link under
            "Data preparation" in the README of github.com/leoxiaobin/deep-high-resolution-net.pytorch
    boxes: "auto" for that file of detections if it is there, which is the papers' protocol, else the annotated boxes;
        "annotations"; or the path of a file of detections.
    nms, oks_threshold: how duplicate people are suppressed: "hard" (the official OKS-NMS), "soft", or None.
    Errors: those of `CocoPictures`; ValueError for detections of which none is of a person in these pictures.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        *,
        boxes: str | os.PathLike[str] = "auto",
        nms: str | None = "hard",
        oks_threshold: float = OKS_THRE,
    ) -> None:
        suppression_of(nms)
        check_threshold(oks_threshold)
        super().__init__(root, split)
        self.nms, self.oks_threshold = nms, oks_threshold
        detections = find_detections(self.root, self.name, self.split) if boxes == "auto" else boxes
        self._skipped = self._elsewhere = 0
        if detections is None and not self.has_annotations:
            raise FileNotFoundError(f"{self.split} has no annotated boxes: give boxes=FILE of detections")
        if detections is None or detections == "annotations":
            self.box_source = "annotations"
            self._boxes = {image["id"]: self._annotated_boxes(image) for image in self.annotations["images"]}
        else:
            self.box_source = Path(detections).name
            self._read_boxes(detections)

    @property
    def notes(self) -> list[str]:
        if self.box_source == "annotations":
            notes = ["person boxes: the annotated ones; the papers' are a detector's, which score lower"]
            why = "without area or outside their picture"
        else:
            notes = [f"person boxes: {self.box_source}"]
            why = "without area or with numbers that are not finite"
        if self._skipped:
            notes.append(f"{self._skipped} boxes {why} were left out")
        if self._elsewhere:
            notes.append(f"{self._elsewhere} boxes of pictures that {self.split} does not list were left out")
        return notes + super().notes

    def _read_boxes(self, path: str | os.PathLike[str]) -> None:
        """Detections of people, who are the annotations' category or, where there are none of it, COCO's."""
        boxes, self._skipped = read_detections(path, person=self._person)
        if not boxes and self._person != PERSON:
            boxes, self._skipped = read_detections(path)
        for image in self.annotations["images"]:
            if image["id"] in boxes:
                self._boxes[image["id"]] = boxes.pop(image["id"])
        self._elsewhere = sum(map(len, boxes.values()))
        if not self._boxes:
            raise ValueError(
                f"{path} has no box of a person (category {self._person}) in a picture of {self.split}: is it of "
                "another split, or does it number categories or pictures otherwise?"
            )

    def _annotated_boxes(self, image: dict[str, Any]) -> list[list[float]]:
        """x, y, width, height, 1 of the people with keypoints."""
        boxes = []
        for person in self._people.get(image["id"], []):
            if person["iscrowd"] or not self._is_marked(person):
                continue
            if box := self._clean_box(person, image):
                boxes.append([*box, 1.0])
            else:
                self._skipped += 1
        return boxes

    def _is_marked(self, person: dict[str, Any]) -> bool:
        return any(person["keypoints"])

    def _clean_box(self, person: dict[str, Any], image: dict[str, Any]) -> tuple[float, ...] | None:
        """lib/dataset/coco.py, _load_coco_keypoint_annotation_kernal; None for a box without area."""
        x, y, width, height = person["bbox"]
        x1, y1 = max(0, x), max(0, y)
        x2 = min(image["width"] - 1, x1 + max(0, width - 1))
        y2 = min(image["height"] - 1, y1 + max(0, height - 1))
        has_area = person["area"] > 0 and x2 >= x1 and y2 >= y1 and max(x2 - x1, y2 - y1) > 0
        return (x1, y1, x2 - x1, y2 - y1) if has_area else None


def _person(data: dict[str, Any], path: Path) -> int:
    """The id of the category of people."""
    person = [category["id"] for category in data["categories"] if category.get("name") == "person"]
    if not person:
        names = ", ".join(repr(category.get("name")) for category in data["categories"])
        raise ValueError(f"{path} has no category 'person', only {names or 'none at all'}")
    return person[0]

"""COCO keypoints in their original files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch

from .coco_scorer import CocoScorer, average_precision
from .detections import PERSON, find_detections, read_detections
from .nms import OKS_THRE, check_threshold, suppression_of
from .samples import LIST, NUMBER, TEXT, WHOLE, PoseSample, field, is_numbers, read_json
from .skeletons import COCO

_WANTED = (
    "download the images and the annotations of {split} from https://cocodataset.org/#download and unpack them to "
    "{path} and {root}/{folder}/*.jpg (or {root}/images/{folder}/*.jpg)"
)
FIELDS = {"id": WHOLE, "image_id": WHOLE, "category_id": WHOLE, "bbox": LIST}


class CocoPictures:
    """COCO's pictures, those without people too, in the order of the annotation file: `len` of them, without boxes.

    root: the folder with
        annotations/person_keypoints_<split>.json            (image_info_<split>.json for test splits)
        <split>/*.jpg or images/<split>/*.jpg                 from https://cocodataset.org/#download; test2017 for
            test-dev2017, a part of it
    Errors: FileNotFoundError saying what to download; ValueError for annotations with missing fields or unknown
        categories, naming the first.
    """

    name, samples = "COCO", "pictures"
    skeleton, keypoints = COCO, 17
    papers_split = "val2017"
    # of each image and annotation: name -> kind, as `field` takes it
    _image_fields: ClassVar[dict[str, str]] = {"id": WHOLE, "file_name": TEXT, "width": NUMBER, "height": NUMBER}
    _fields: ClassVar[dict[str, str]] = {**FIELDS, "area": NUMBER}
    _metric = staticmethod(average_precision)
    nms: str | None = None
    oks_threshold = OKS_THRE

    def __init__(self, root: str | os.PathLike, split: str | None = None) -> None:
        self.root, self.split = Path(root), split or self.papers_split
        path, folders, wanted = self._places()
        self.annotations = self._checked(read_json(path, wanted), path)
        self._person = _person(self.annotations, path)
        self._people = self._people_of(path)
        self._folder = next((folder for folder in folders if folder.is_dir()), None)
        if self._folder is None:
            raise FileNotFoundError(f"{folders[-1]} is missing: {wanted}")
        self._boxes: dict[int, Any] = {}  # image id -> rows of x, y, width, height, score

    @property
    def has_annotations(self) -> bool:
        return not self.split.startswith("test")

    def __len__(self) -> int:
        return len(self.annotations["images"])

    def __iter__(self) -> Iterator[PoseSample]:
        for image in self.annotations["images"]:
            rows = torch.tensor(self._boxes.get(image["id"], []), dtype=torch.float64).reshape(-1, 5)
            yield PoseSample(self._folder / image["file_name"], image["id"], rows[:, :4], rows[:, 4])

    def scorer(self) -> CocoScorer:
        """AP and AR of the pictures that are added."""
        annotations = self.annotations if self.has_annotations else None
        suppression = self.nms, self.oks_threshold, self.skeleton.sigmas
        return CocoScorer(annotations, self._person, *suppression, self._metric)

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know."""
        if self.has_annotations:
            return []
        return [f"{self.split} has no public annotations: hand the results in to COCO's server"]

    def _places(self) -> tuple[Path, tuple[Path, ...], str]:
        """The annotation file, folders of which one has the pictures, and what to download if they are not there."""
        prefix = "person_keypoints" if self.has_annotations else "image_info"
        path = self.root / "annotations" / f"{prefix}_{self.split}.json"
        folder = self.split.replace("test-dev", "test")  # COCO has no pictures of its own for it
        wanted = _WANTED.format(root=self.root, split=self.split, path=path, folder=folder)
        return path, (self.root / "images" / folder, self.root / folder), wanted

    def _checked(self, data: Any, path: Path) -> dict[str, Any]:
        """The contents of an annotation file, if all that is needed is there."""
        for name in ("images", "categories", "annotations") if self.has_annotations else ("images", "categories"):
            field(data, name, str(path), LIST)
        for place, image in enumerate(data["images"]):
            for name, kind in self._image_fields.items():
                field(image, name, f"{path}: image {place}", kind)
        if not data["images"]:
            raise ValueError(f"{path} lists no images: there is nothing to evaluate")
        known = {field(category, "id", f"{path}: a category", WHOLE) for category in data["categories"]}
        images = _ids(data["images"], path)
        for place, entry in enumerate(data.get("annotations", ())):
            where = f"{path}: annotation {entry.get('id', place) if isinstance(entry, dict) else place}"
            for name, kind in self._fields.items():
                field(entry, name, where, kind)
            if entry["category_id"] not in known:
                raise ValueError(f"{where} has the category {entry['category_id']}, which the file does not list")
            if entry["image_id"] not in images:
                raise ValueError(f"{where} is of image {entry['image_id']}, which the file does not list")
            if not is_numbers(entry["bbox"], 4) or not all(map(math.isfinite, entry["bbox"])):
                raise ValueError(f"{where} has the box {entry['bbox']}; four finite numbers are needed")
            entry.setdefault("iscrowd", 0)
            field(entry, "iscrowd", where, NUMBER)
        return data

    def _people_of(self, path: Path) -> dict[int, list[dict]]:
        """Image id -> its people's annotations."""
        people: dict[int, list[dict]] = {}
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
        root: str | os.PathLike,
        split: str | None = None,
        *,
        boxes: str | os.PathLike = "auto",
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

    def _read_boxes(self, path: str | os.PathLike) -> None:
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


def _ids(images: list[dict[str, Any]], path: Path) -> set[int]:
    """The images' ids. ValueError for one that is there twice, as people of both would be scored with each."""
    ids: set[int] = set()
    for image in images:
        if image["id"] in ids:
            raise ValueError(f"{path} lists image {image['id']} twice")
        ids.add(image["id"])
    return ids


def _person(data: dict[str, Any], path: Path) -> int:
    """The id of the category of people."""
    person = [category["id"] for category in data["categories"] if category.get("name") == "person"]
    if not person:
        names = ", ".join(repr(category.get("name")) for category in data["categories"])
        raise ValueError(f"{path} has no category 'person', only {names or 'none at all'}")
    return person[0]

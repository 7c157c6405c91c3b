"""COCO's objects in their original files, and the score of their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..coco_scores import coco_stats
from ..coco_set import CocoSet
from ..json_fields import TEXT, field
from .regions import Boxes

# The order of COCOeval.stats for boxes; names as the papers' tables
METRICS = ("AP", "AP50", "AP75", "APS", "APM", "APL", "AR1", "AR10", "AR", "ARS", "ARM", "ARL")


@dataclass(frozen=True)
class ObjectSample:
    """A picture. image: the file. image_id: what the data set calls it."""

    image: Path
    image_id: int


class CocoObjects(CocoSet):
    """COCO's pictures and the boxes of what is in them, in the order of the annotation file.

    root: the folder with
        annotations/instances_<split>.json                   (image_info_<split>.json for test splits)
        <split>/*.jpg or images/<split>/*.jpg                 from https://cocodataset.org/#download; test2017 for
            test-dev2017, a part of it
    categories: name -> id, as the annotation file has them.
    Errors: FileNotFoundError saying what to download; ValueError for annotations with missing fields or unknown
        categories, naming the first, and for two categories of one name.
    """

    prefix = "instances"

    def _read_annotations(self) -> None:
        self.categories: dict[str, int] = {}
        for category in self.annotations["categories"]:
            name = field(category, "name", f"{self._file}: category {category['id']}", TEXT)
            if name in self.categories:
                raise ValueError(f"{self._file} has two categories {name!r}")
            self.categories[name] = category["id"]

    def __iter__(self) -> Iterator[ObjectSample]:
        for image in self.annotations["images"]:
            yield ObjectSample(self._folder / image["file_name"], image["id"])

    def ids_of(self, names: tuple[str, ...]) -> list[int | None]:
        """The category of each class; None for one that is not annotated here. ValueError if none of them is."""
        ids = [self.categories.get(name) for name in names]
        if not any(identity is not None for identity in ids):
            raise ValueError(
                f"{self._file} has none of the network's classes {', '.join(names[:3])} ...; its categories are "
                f"{', '.join(list(self.categories)[:3])} ...: give the network's by names="
            )
        return ids


class BoxScorer:
    """Collects boxes picture by picture. categories: ids of those that count; annotations: None if there are none."""

    def __init__(self, annotations: dict[str, Any] | None, categories: list[int]) -> None:
        self._annotations, self._categories = annotations, categories
        self._images: list[int] = []
        self._rows: list[dict[str, Any]] = []

    def add(self, image: int, found: Boxes, ids: list[int | None]) -> None:
        """The boxes of a picture. ids: of each class its category; boxes of classes without one are left out."""
        self._images.append(image)
        corners = found.corners.double()
        sides = corners[:, 2:] - corners[:, :2]
        for low, side, score, index in zip(
            corners[:, :2].tolist(), sides.tolist(), found.scores.tolist(), found.classes.tolist()
        ):
            if ids[index] is not None:
                row = {"image_id": image, "category_id": ids[index], "bbox": [*low, *side], "score": score}
                self._rows.append(row)

    def results(self) -> list[dict[str, Any]]:
        """COCO's results format."""
        return self._rows

    def result(self) -> dict[str, float]:
        """AP and AR in per cent over the pictures that were added, without those of sizes that no object has."""
        if self._annotations is None:
            return {}
        (stats,) = coco_stats(self._annotations, self._rows, [self._images], "bbox", self._categories)
        return {name: 100.0 * value for name, value in zip(METRICS, stats, strict=True) if value >= 0}

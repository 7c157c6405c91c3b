"""Data sets in COCO's format: an annotation file, and folders of which one has its pictures."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, ClassVar

from .json_fields import LIST, NUMBER, TEXT, WHOLE, field, is_numbers, read_json

_WANTED = (
    "download the images and the annotations of {split} from https://cocodataset.org/#download and unpack them to "
    "{path} and {root}/{folder}/*.jpg (or {root}/images/{folder}/*.jpg)"
)
FIELDS = {"id": WHOLE, "image_id": WHOLE, "category_id": WHOLE, "bbox": LIST}


class CocoSet:
    """The pictures that an annotation file lists, in its order: `len` of them.

    root: the folder with
        annotations/<prefix>_<split>.json                     (image_info_<split>.json for test splits)
        <split>/*.jpg or images/<split>/*.jpg                 from https://cocodataset.org/#download; test2017 for
            test-dev2017, a part of it
    Errors: FileNotFoundError saying what to download; ValueError for annotations with missing fields or unknown
        categories, naming the first.
    """

    name, samples = "COCO", "pictures"
    unannotated, has_server = "nothing is annotated", True
    prefix: str
    papers_split = "val2017"
    # of each image and annotation: name -> kind, as `field` takes it
    _image_fields: ClassVar[dict[str, str]] = {"id": WHOLE, "file_name": TEXT, "width": NUMBER, "height": NUMBER}
    _fields: ClassVar[dict[str, str]] = {**FIELDS, "area": NUMBER}

    def __init__(self, root: str | os.PathLike[str], split: str | None = None) -> None:
        self.root, self.split = Path(root), split or self.papers_split
        self._file, folders, wanted = self._places()
        self.annotations = self._checked(read_json(self._file, wanted), self._file)
        self._read_annotations()
        self._folder = next((folder for folder in folders if folder.is_dir()), None)
        if self._folder is None:
            raise FileNotFoundError(f"{folders[-1]} is missing: {wanted}")

    @property
    def has_annotations(self) -> bool:
        return not self.split.startswith("test")

    def __len__(self) -> int:
        return len(self.annotations["images"])

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know."""
        if self.has_annotations:
            return []
        return [f"{self.split} has no public annotations: hand the results in to COCO's server"]

    def _read_annotations(self) -> None:
        """What a kind of data set makes of its annotations, which are checked."""

    def _places(self) -> tuple[Path, tuple[Path, ...], str]:
        """The annotation file, folders of which one has the pictures, and what to download if they are not there."""
        prefix = self.prefix if self.has_annotations else "image_info"
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
            if entry.setdefault("iscrowd", 0) not in (0, 1):
                raise ValueError(f"{where} has the iscrowd {entry['iscrowd']!r:.60}; 0 or 1 is needed")
        return data


def _ids(images: list[dict[str, Any]], path: Path) -> set[int]:
    """The images' ids. ValueError for one that is there twice, as people of both would be scored with each."""
    ids: set[int] = set()
    for image in images:
        if image["id"] in ids:
            raise ValueError(f"{path} lists image {image['id']} twice")
        ids.add(image["id"])
    return ids

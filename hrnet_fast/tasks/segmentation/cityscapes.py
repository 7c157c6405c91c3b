"""Cityscapes in its own folders."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from .cityscapes_labels import train_ids
from .classes import CITYSCAPES
from .dataset import LabelledPictures, Sample, read_instances, read_labels

SPLITS = ("train", "val", "test")
_IMAGE, _LABELS, _INSTANCES = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_instanceIds.png"


class Cityscapes(LabelledPictures):
    """Street scenes of 1024 x 2048 in 19 classes: 2,975 for training, 500 for validation, 1,525 for the server's test.

    root: holds, from leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of cityscapes-dataset.com,
        leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png
        gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png, and ..._instanceIds.png for iIoU.
    split: "train", "val" or "test"; test has no annotations to score with: `evaluate` writes its labels for the server.
    Label ids become train ids, 255 for those that are not counted (lib/datasets/cityscapes.py).
    Errors: FileNotFoundError that says what to download and where to put it; ValueError for another split.
    """

    name, classes = "Cityscapes", CITYSCAPES

    def __init__(self, root: str | os.PathLike[str], split: str = "val") -> None:
        if split not in SPLITS:
            raise ValueError(f"Cityscapes has no split {split!r}; choose one of {', '.join(SPLITS)}")
        self.split, root = split, Path(root)
        folder = root / "leftImg8bit" / split
        images = sorted(folder.glob(f"*/*{_IMAGE}"))
        if not images:
            raise FileNotFoundError(
                f"there are no pictures <city>/*{_IMAGE} in {folder}: download leftImg8bit_trainvaltest.zip and "
                f"gtFine_trainvaltest.zip from cityscapes-dataset.com and unpack both in {root}"
            )
        super().__init__(root, [self._sample(image) for image in images])

    def _sample(self, image: Path) -> Sample:
        key = image.name.removesuffix(_IMAGE)
        if self.split == "test":
            return Sample(key, image)
        truth = image.parents[3] / "gtFine" / self.split / image.parent.name
        return Sample(
            key,
            image,
            partial(read_labels, truth / f"{key}{_LABELS}", train_ids()),
            partial(read_instances, truth / f"{key}{_INSTANCES}"),
        )

"""Look into Person in its own folders."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from ..files import read_text
from .classes import LIP
from .dataset import LabelledPictures, Sample, own_labels, read_labels

SPLITS = ("train", "val")


class LookIntoPerson(LabelledPictures):
    """Single persons in 20 classes: 30,462 pictures for training and 10,000 for validation.

    root: holds, from LIP's "Single Person" download (TrainVal_images.zip and TrainVal_parsing_annotations.zip of
    sysu-hcp.net/lip),
        TrainVal_images/<split>_images/<id>.jpg
        TrainVal_parsing_annotations/<split>_segmentations/<id>.png
        and, if it is there, TrainVal_images/<split>_id.txt or <split>_id.txt, which lists the ids; else every annotated
        picture is taken.
    split: "train" or "val".
    Errors: FileNotFoundError that says what to download and where to put it; ValueError for another split.
    """

    name, classes = "LIP", LIP

    def __init__(self, root: str | os.PathLike[str], split: str = "val") -> None:
        if split not in SPLITS:
            raise ValueError(f"LIP has no split {split!r}; choose one of {', '.join(SPLITS)}")
        self.split, root = split, Path(root)
        images = root / "TrainVal_images" / f"{split}_images"
        truths = root / "TrainVal_parsing_annotations" / f"{split}_segmentations"
        ids = _ids(root, split) or sorted(path.stem for path in truths.glob("*.png"))
        if not ids or not images.is_dir():
            raise FileNotFoundError(
                f"there are no annotated pictures in {images} and {truths}: download TrainVal_images.zip and "
                f"TrainVal_parsing_annotations.zip of the single-person set from sysu-hcp.net/lip and unpack both in "
                f"{root}"
            )
        super().__init__(
            root,
            [
                Sample(key, images / f"{key}.jpg", partial(read_labels, truths / f"{key}.png", own_labels(len(LIP))))
                for key in ids
            ],
        )


def _ids(root: Path, split: str) -> list[str]:
    for path in (root / "TrainVal_images" / f"{split}_id.txt", root / f"{split}_id.txt"):
        if path.is_file():
            return read_text(path).split()
    return []

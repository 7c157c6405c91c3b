"""PASCAL-Context, from the annotations of its authors or as masks that the detail API or mmsegmentation wrote."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import read_text
from ..matlab import reading_mat
from .classes import IGNORE, PASCAL_CONTEXT59, PASCAL_CONTEXT60
from .dataset import LabelledPictures, Sample, own_labels, read_labels

SPLITS = ("train", "val")

# The ids, among the 459 of the annotations, of classes 1 to 59 in their order (as the detail API's users map them:
# tools/dataset_converters/pascal_context.py of mmsegmentation, FastFCN, PyTorch-Encoding).
CONTEXT_IDS = (
    2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105, 113, 115, 144, 158, 159,
    162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308, 324, 326, 347, 349, 354, 355, 360, 366, 368, 397,
    415, 416, 420, 424, 427, 440, 445, 454, 458,
)  # fmt: skip


class PascalContext(LabelledPictures):
    """Scenes of VOC 2010 in 59 classes, the background not counted: 4,998 for training and 5,105 for validation.

    root: holds VOCdevkit/VOC2010 (or is it), with JPEGImages/<id>.jpg of VOCtrainval_03-May-2010.tar, and either
        SegmentationClassContext/<id>.png: labels 0 (background) to 59, and
            ImageSets/SegmentationContext/<split>.txt, as mmsegmentation's converter writes them with the detail API; or
        the authors' trainval/<id>.mat (trainval.tar.gz of cs.stanford.edu/~roozbeh/pascal-context; needs SciPy), in
            `root` or VOC2010, whose split is VOC's own: ImageSets/Main/<split>.txt.
    split: "train" or "val".
    Errors: FileNotFoundError that says what to download and where to put it; ValueError for another split.
    """

    name, classes = "PASCAL-Context 59", PASCAL_CONTEXT59

    def __init__(self, root: str | os.PathLike[str], split: str = "val") -> None:
        if split not in SPLITS:
            raise ValueError(f"PASCAL-Context has no split {split!r}; choose one of {', '.join(SPLITS)}")
        self.split, root = split, Path(root)
        voc = next((f for f in (root / "VOCdevkit" / "VOC2010", root / "VOC2010") if f.is_dir()), root)
        masks = voc / "SegmentationClassContext"
        mats = next((folder for folder in (root / "trainval", voc / "trainval") if folder.is_dir()), None)
        if masks.is_dir():
            listed = voc / "ImageSets" / "SegmentationContext" / f"{split}.txt"
            read, truths, suffix, table = read_labels, masks, ".png", own_labels(60)
        elif mats is not None:
            listed = voc / "ImageSets" / "Main" / f"{split}.txt"
            read, truths, suffix, table = read_mat, mats, ".mat", _id_table()
        else:
            raise FileNotFoundError(
                f"there are no annotations of PASCAL-Context in {root}: unpack trainval.tar.gz of "
                f"cs.stanford.edu/~roozbeh/pascal-context as {root / 'trainval'}, or lay masks in {masks}"
            )
        if not listed.is_file() or not (voc / "JPEGImages").is_dir():
            raise FileNotFoundError(
                f"there is no {listed} or no folder {voc / 'JPEGImages'}: unpack VOCtrainval_03-May-2010.tar of "
                f"host.robots.ox.ac.uk/pascal/VOC/voc2010 in {root}"
            )
        if len(self.classes) == 59:
            table = _without_background(table)
        super().__init__(
            root,
            [
                Sample(key, voc / "JPEGImages" / f"{key}.jpg", partial(read, truths / f"{key}{suffix}", table))
                for key in read_text(listed).split()
            ],
        )


class PascalContext60(PascalContext):
    """PascalContext with the background as class 0."""

    name, classes = "PASCAL-Context 60", PASCAL_CONTEXT60


def read_mat(path: Path, table: Tensor) -> Tensor:  # (H, W) uint8
    """The LabelMap of an annotation, of 459 classes, through a table (460,) uint8. Errors as `read_labels`."""
    try:
        with reading_mat(path, "an annotation of PASCAL-Context") as content:
            ids = content["LabelMap"]
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no annotation {path}: the annotations are incomplete") from None
    if ids.max(initial=0) >= len(table):
        raise ValueError(f"{path} holds the id {ids.max()}, but PASCAL-Context has {len(table) - 1} classes")
    return table[torch.from_numpy(ids.astype(np.int64))]


def _id_table() -> Tensor:  # (460,) uint8: the annotations' ids to our labels
    table = torch.zeros(460, dtype=torch.uint8)
    table[list(CONTEXT_IDS)] = torch.arange(1, 60, dtype=torch.uint8)
    return table


def _without_background(table: Tensor) -> Tensor:
    """reduce_zero_label of lib/datasets/base_dataset.py: 0 is not counted, and the others move down by one."""
    return torch.where(table == 0, IGNORE, torch.where(table >= 254, table, table - 1)).to(torch.uint8)

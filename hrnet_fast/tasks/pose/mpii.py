"""MPII Human Pose in the files that the official pose repository reads."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..json_fields import TEXT, field, is_numbers, read_json
from ..matlab import reading_mat
from .boxes import PADDING, Regions
from .pckh import JOINTS, pckh
from .samples import PoseSample

_WANTED = (
    "download the images from http://human-pose.mpi-inf.mpg.de to {root}/images/*.jpg, and valid.json and "
    "gt_valid.mat, which the README of github.com/leoxiaobin/deep-high-resolution-net.pytorch links to under "
    '"Data preparation", to {root}/annot'
)
KEYPOINTS = 16
_SCALE = 200.0  # an MPII scale of 1 is a person of 200 pixels
_DOWN = 15  # lib/dataset/mpii.py: the middle is moved down by 15 pixels times the scale, so that no feet are cut off


class Mpii:
    """MPII's annotated people; one sample a person, in the order of the annotation file.

    root: the folder with
        annot/<split>.json, annot/gt_<split>.mat      from the link under "Data preparation" in the README of
            github.com/leoxiaobin/deep-high-resolution-net.pytorch
        images/*.jpg                                   from http://human-pose.mpi-inf.mpg.de
    Errors: FileNotFoundError saying what to download; ValueError for people with missing fields, naming the first.
    """

    name, samples = "MPII", "people"
    unannotated, has_server = "nobody is annotated", False
    keypoints = KEYPOINTS
    box_source = "annotations"
    has_annotations = True

    def __init__(self, root: str | os.PathLike[str], split: str = "valid") -> None:
        self.root, self.split = Path(root), split
        path = self.root / "annot" / f"{split}.json"
        self._people = read_json(path, _WANTED.format(root=root))
        if not isinstance(self._people, list) or not self._people:
            raise ValueError(f"{path} lists no people: there is nothing to evaluate")
        boxes = [_box(person, f"{path}: person {i}") for i, person in enumerate(self._people)]
        self._boxes = torch.tensor(boxes, dtype=torch.float64)
        self._truth = self.root / "annot" / f"gt_{split}.mat"
        if not self._truth.exists():
            raise FileNotFoundError(f"{self._truth} is missing: {_WANTED.format(root=root)}")

    def __len__(self) -> int:
        return len(self._people)

    def __iter__(self) -> Iterator[PoseSample]:
        score = torch.ones(1, dtype=torch.float64)
        for i, person in enumerate(self._people):
            yield PoseSample(self.root / "images" / person["image"], i, self._boxes[i : i + 1], score)

    def scorer(self) -> MpiiScorer:
        """PCKh of the people that are added."""
        return MpiiScorer(self._truth, len(self))

    @property
    def notes(self) -> list[str]:
        return []


class MpiiScorer:
    """Collects people; `path` is gt_<split>.mat, with the truth of all `people` of the split."""

    def __init__(self, path: Path, people: int) -> None:
        self._path, self._people = path, people
        self._found: dict[int, Tensor] = {}

    def add(self, sample: PoseSample, points: Tensor, regions: Regions) -> None:
        self._found[sample.image_id] = points[0, :, :2]

    def result(self) -> dict[str, float]:
        truth = _read_truth(self._path)
        count = truth["pos_gt_src"].shape[2]
        if count != self._people:
            raise ValueError(f"{self._path} has {count} people, and {self._people} are annotated beside it")
        chosen = sorted(self._found)
        positions, heads = (truth[name].permute(2, 0, 1)[chosen] for name in ("pos_gt_src", "headboxes_src"))
        missing = truth["jnt_missing"].T[chosen].bool()
        points = torch.stack([self._found[i] for i in chosen]) + 1.0  # MPII counts pixels from 1
        return pckh(points, positions, missing, heads, truth["dataset_joints"])


def _read_truth(path: Path) -> dict[str, Any]:
    with reading_mat(path, "a file of MPII's annotations") as contents:
        truth: dict[str, Any] = {
            name: torch.from_numpy(np.asarray(field(contents, name, str(path)), np.float64))
            for name in ("jnt_missing", "pos_gt_src", "headboxes_src")
        }
        people = truth["pos_gt_src"].shape[-1]
        shapes = {"pos_gt_src": (KEYPOINTS, 2), "jnt_missing": (KEYPOINTS,), "headboxes_src": (2, 2)}
        for name, shape in shapes.items():
            shape = (*shape, people)
            if truth[name].shape != shape:
                raise ValueError(f"{name} is {tuple(truth[name].shape)}; {shape} was expected")
        names = [np.asarray(name).item() for name in field(contents, "dataset_joints", str(path)).ravel()]
        if missing := [name for name in JOINTS if name not in names]:
            raise ValueError(f"dataset_joints has no {missing[0]!r}")
        return truth | {"dataset_joints": names}


def _box(person: Any, where: str) -> list[float]:
    """x, y, width, height of the square that `regions_of` widens, pixels from 0: _get_db of lib/dataset/mpii.py."""
    field(person, "image", where, TEXT)
    center, scale = field(person, "center", where), field(person, "scale", where)
    if not is_numbers(center, 2) or not all(map(math.isfinite, center)):
        raise ValueError(f"{where} has the center {center}; x and y are needed")
    if not is_numbers([scale], 1) or not 0 < scale < math.inf:
        raise ValueError(f"{where} has the scale {scale}; a number above 0 is needed")
    x, y = center
    side = scale * _SCALE
    if x == -1:  # people without a place, whom the official code neither moves nor widens
        side /= PADDING
    else:
        y += _DOWN * scale
    return [x - 1 - side / 2, y - 1 - side / 2, side, side]

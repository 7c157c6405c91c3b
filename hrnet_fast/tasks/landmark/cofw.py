"""COFW: Robust Face Landmark Estimation under Occlusion (Burgos-Artizzu et al., ICCV 2013)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..optional import h5py
from .boxes import box_of_points
from .samples import FaceDataset, FaceSample, as_points, first_of

POINTS = 29
# Split -> (file, its pictures, its points): lib/datasets/cofw.py.
SPLITS = {
    "train": ("COFW_train_color.mat", "IsTr", "phisTr"),
    "test": ("COFW_test_color.mat", "IsT", "phisT"),
}
_ROWS = 3 * POINTS  # x of each point, then y, then whether it is occluded

_HOW = "download COFW_color.zip from https://data.caltech.edu/records/bc0bf-nc666 and unpack it into {root}"


def open_cofw(root: str | os.PathLike[str], split: str = "test") -> FaceDataset:
    """COFW in colour: 29 points; 1,345 faces to train and 507 to test.

    root: holds COFW_test_color.mat and COFW_train_color.mat (Matlab 7.3, which is HDF5; needs h5py).
    split: "train" or "test". Faces with occluded points belong to the subset "occluded"; the pictures stay in the file
        until they are asked for.
    Errors: FileNotFoundError that says what to download; ValueError for an unknown split and for another file.
    """
    if split not in SPLITS:
        raise ValueError(f"COFW has no split {split!r}; choose one of {', '.join(SPLITS)}")
    root = Path(root)
    name, images, points = SPLITS[split]
    path = first_of([root / name, root / "cofw" / name], _HOW.format(root=root))
    return FaceDataset("COFW", split, POINTS, _Faces(path, images, points), path)


class _Faces:
    """The file's faces; it is open while they are read."""

    def __init__(self, path: Path, images: str, points: str) -> None:
        self.path, self.images = path, images
        with _open(path) as file:
            if images not in file or points not in file:
                raise ValueError(f"{path} has no {images} and {points}: it is not COFW's file in colour")
            rows = np.asarray(file[points]).T
            pictures = file[images].size
        if rows.ndim != 2 or rows.shape[1] != _ROWS or len(rows) != pictures:
            raise ValueError(
                f"{path}: {points} is {rows.shape} for {pictures} pictures; (pictures, {_ROWS}) was expected"
            )
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[FaceSample]:
        with _open(self.path) as file:
            references = file[self.images][()].ravel()
            for index, (row, reference) in enumerate(zip(self.rows, references)):
                where = f"{self.path}, face {index}"
                points = as_points(row[: 2 * POINTS].reshape(2, POINTS).T.ravel(), POINTS, where)
                subsets = ("occluded",) if row[2 * POINTS :].any() else ()
                yield FaceSample(_picture(file[reference], where), points, box_of_points(points), None, subsets, where)


def _picture(stored: Any, where: str) -> np.ndarray:
    """Matlab's columns come first in HDF5: (3, W, H) or (W, H) uint8 -> (H, W, 3) or (H, W)."""
    pixels = np.asarray(stored)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[0] != 3):
        raise ValueError(
            f"{where}: the picture is {pixels.dtype} {pixels.shape}; uint8 (3, W, H) or (W, H) was expected"
        )
    return np.ascontiguousarray(pixels.T)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """ValueError for a file that h5py cannot read, and for what it cannot read of it while the block runs."""
    package = h5py()
    try:
        with package.File(path, "r") as file:
            yield file
    except (OSError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} is not a Matlab 7.3 file (HDF5), or it is cut off or damaged: {error}") from None

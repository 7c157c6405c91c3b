"""300W: 300 Faces In-The-Wild Challenge (Sagonas et al., 2013 and 2016)."""

from __future__ import annotations

import os
from pathlib import Path

from .boxes import box_of_points
from .lists import read_list
from .samples import FaceDataset, FaceSample, as_numbers, as_points, check_pictures, first_of

POINTS = 68
# Split -> (the official list, the folders of the original distribution).
SPLITS = {
    "train": ("train", ("afw", "helen/trainset", "lfpw/trainset")),
    "full": ("valid", ("helen/testset", "lfpw/testset", "ibug")),
    "common": ("valid_common", ("helen/testset", "lfpw/testset")),
    "challenging": ("valid_challenge", ("ibug",)),
    "test": ("test", ("01_Indoor", "02_Outdoor")),
}

_HOW = (
    "download 300-W, AFW, HELEN, LFPW and IBUG from https://ibug.doc.ic.ac.uk/resources/300-W and unpack them into "
    "{root} (afw, helen, ibug, lfpw and 300W), or put the lists of HRNet-Facial-Landmark-Detection "
    "(face_landmarks_300w_valid.csv, ...) into {root} and the pictures into {root}/images"
)
_PICTURES = (".jpg", ".png", ".jpeg", ".JPG")


def open_300w(root: str | os.PathLike[str], split: str = "full", *, from_one: bool = True) -> FaceDataset:
    """300W: 68 points; 3,148 faces to train, 689 for validation, 600 to test.

    root: holds either the original folders with a .pts file beside each picture, or the official lists,
        face_landmarks_300w_valid.csv and so on, and images/. If both are there, the lists are read.
    split: "train"; "full", of which "common" (LFPW's and HELEN's test sets) and "challenging" (IBUG) are parts and
        subsets; or "test", the challenge's own pictures.
    from_one: .pts files count pixels from 1, as Matlab and menpo's importer have it; False takes their numbers as they
        are. The official lists are always taken as they are.
    Errors: FileNotFoundError that says what to download; ValueError for an unknown split and for a damaged file.
    """
    if split not in SPLITS:
        raise ValueError(f"300W has no split {split!r}; choose one of {', '.join(SPLITS)}")
    root, how = Path(root), _HOW.format(root=root)
    part, folders = SPLITS[split]
    path = root / f"face_landmarks_300w_{part}.csv"
    if path.is_file():
        samples = read_list(path, root / "images", POINTS, subsets=lambda fields: _subsets(split, Path(fields[0])))
    else:
        places = [first_of([root / f, root / "300W" / f, root / "images" / f], how) for f in folders]
        files = [file for place in places for file in sorted(place.rglob("*.pts"))]
        samples = [_face(file, _subsets(split, file.relative_to(root)), from_one) for file in files]
        path = root
    check_pictures(samples, how)
    return FaceDataset("300W", split, POINTS, samples, path)


def read_pts(path: Path) -> list[float]:
    """x0, y0, x1, ... of a .pts file: `version: 1`, `n_points: 68`, and the points between braces."""
    text = path.read_text(encoding="utf-8", errors="replace")
    head, opened, rest = text.partition("{")
    body, closed, _ = rest.partition("}")
    if not opened or not closed or "n_points" not in head:
        raise ValueError(f"{path} is not a .pts file, or it is cut off: n_points and points between braces are missing")
    return as_numbers(body.split(), str(path))


def _face(path: Path, subsets: tuple[str, ...], from_one: bool) -> FaceSample:
    points = as_points(read_pts(path), POINTS, str(path))
    if from_one:
        points = points - 1
    picture = next((file for suffix in _PICTURES if (file := path.with_suffix(suffix)).is_file()), None)
    if picture is None:
        raise FileNotFoundError(f"there is no picture beside {path} ({', '.join(_PICTURES)})")
    return FaceSample(picture, points, box_of_points(points), None, subsets, str(path))


def _subsets(split: str, path: Path) -> tuple[str, ...]:
    """path: below the root, whose own name says nothing."""
    if split != "full":
        return ()
    return ("challenging",) if "ibug" in path.parts else ("common",)

"""WFLW: Look at Boundary: A Boundary-Aware Face Alignment Algorithm (Wu et al., CVPR 2018)."""

from __future__ import annotations

import os
from pathlib import Path

from ..files import read_text
from .boxes import box_of_points
from .lists import faces_of, read_list
from .samples import FaceDataset, FaceSample, as_numbers, as_points, check_pictures, first_of

POINTS = 98
# The order of the six columns after the box, from the README of WFLW_annotations.
ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")
# The official lists of the same subsets of the test split.
_LISTS = {
    "pose": "largepose", "expression": "expression", "illumination": "illumination", "make-up": "makeup",
    "occlusion": "occlusion", "blur": "blur",
}  # fmt: skip

_HOW = (
    "download WFLW_images and WFLW_annotations from https://wywu.github.io/projects/LAB/WFLW.html and unpack both into "
    "{root}, or put the lists of HRNet-Facial-Landmark-Detection (face_landmarks_wflw_test.csv, ...) into {root} and "
    "the pictures into {root}/images"
)


def open_wflw(root: str | os.PathLike[str], split: str = "test", *, box: str = "points") -> FaceDataset:
    """WFLW: 98 points; 7,500 faces to train and 2,500 to test, of which subsets have attributes.

    root: holds either the original files,
            WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_<split>.txt and WFLW_images/, or
        the official lists, face_landmarks_wflw_<split>.csv, and images/; the subsets are then those whose lists
            (face_landmarks_wflw_test_largepose.csv, ...) are there too.
        If both are there, the official lists are read.
    split: "train" or "test".
    box: for the original files: "points", the box around the points, as in the official lists, or "rect", the file's.
    Errors: FileNotFoundError that says what to download; ValueError that names a line that does not fit.
    """
    if box not in ("points", "rect"):
        raise ValueError(f"box={box!r} is not known; choose points or rect")
    root, how = Path(root), _HOW.format(root=root)
    name = f"list_98pt_rect_attr_{split}.txt"
    lists = root / f"face_landmarks_wflw_{split}.csv"
    folder = Path("WFLW_annotations", "list_98pt_rect_attr_train_test")
    path = first_of([lists, root / folder / name, root / folder.name / name, root / name], how)
    if path == lists:
        samples = _official(path, root / "images")
    else:
        samples = _original(path, first_of([root / "WFLW_images", root / "images"], how), box)
    check_pictures(samples, how)
    return FaceDataset("WFLW", split, POINTS, samples, path)


def _official(path: Path, images: Path) -> list[FaceSample]:
    files = {name: path.with_name(f"{path.stem}_{part}.csv") for name, part in _LISTS.items()}
    faces = {name: faces_of(file, 4) for name, file in files.items() if file.is_file()}
    return read_list(
        path, images, POINTS, subsets=lambda fields: tuple(name for name, those in faces.items() if fields in those)
    )


def _original(path: Path, images: Path, box: str) -> list[FaceSample]:
    """Lines of 98 x, y, then x_min, y_min, x_max, y_max, six attributes 0 or 1, and the picture's name."""
    columns = 2 * POINTS + 4 + len(ATTRIBUTES) + 1
    samples = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split(maxsplit=columns - 1)
        if not fields:
            continue
        where = f"{path}, line {number}"
        if len(fields) < columns:
            raise ValueError(
                f"{where} has {len(fields)} columns; {columns} were expected (98 points, a box, six attributes, a name)"
            )
        numbers = as_numbers(fields[:-1], where)
        points = as_points(numbers[: 2 * POINTS], POINTS, where)
        left, top, right, bottom = numbers[2 * POINTS : 2 * POINTS + 4]
        flags = numbers[2 * POINTS + 4 :]
        rect = (left, top, right - left, bottom - top)
        name = fields[-1].strip()
        samples.append(
            FaceSample(
                images / name,
                points,
                rect if box == "rect" else box_of_points(points),
                None,
                tuple(attribute for attribute, flag in zip(ATTRIBUTES, flags) if flag),
                f"{name} ({where})",
            )
        )
    return samples

"""AFLW: Annotated Facial Landmarks in the Wild (Koestinger et al., 2011), with CCL's 19 points (Zhu et al., 2016)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..matlab import reading_mat
from .lists import faces_of, read_list
from .samples import FaceDataset, FaceSample, as_points, check_pictures, first_of

POINTS = 19
TRAINED = 20_000  # AFLWinfo_release.mat: the first of its order `ra` are for training, the other 4,386 for the test
SPLITS = {"train": "train", "test": "test", "frontal": "test_frontal"}

_HOW = (
    "download AFLW's pictures from https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/aflw into "
    "{root}/images (folders 0, 2 and 3), and into {root} either the lists of HRNet-Facial-Landmark-Detection "
    "(face_landmarks_aflw_test.csv, ...) or AFLWinfo_release.mat of http://mmlab.ie.cuhk.edu.hk/projects/compositional.html"
)


def open_aflw(root: str | os.PathLike[str], split: str = "test") -> FaceDataset:
    """AFLW: 19 points; 20,000 faces to train and 4,386 to test, of which 1,314 are "frontal": all points are seen.

    root: holds the official lists, face_landmarks_aflw_<split>.csv, or AFLWinfo_release.mat (needs SciPy), and images/
        (or AFLW's own data/flickr/). If both are there, the lists are read.
    split: "train"; "test", of which "frontal" is a subset, if its list is there; or "frontal".
    Errors are divided by the side of the face's box: `box_size` of the lists, the longer side of the file's box.
    Errors: FileNotFoundError that says what to download; ValueError for an unknown split and for damaged files.
    """
    if split not in SPLITS:
        raise ValueError(f"AFLW has no split {split!r}; choose one of {', '.join(SPLITS)}")
    root = Path(root)
    how = _HOW.format(root=root)
    path = first_of([root / f"face_landmarks_aflw_{SPLITS[split]}.csv", root / "AFLWinfo_release.mat"], how)
    images = first_of([root / "images", root / "data" / "flickr"], how)
    samples = _official(path, images, split) if path.suffix == ".csv" else _original(path, images, split)
    check_pictures(samples, how)
    return FaceDataset("AFLW", split, POINTS, samples, path)


def _official(path: Path, images: Path, split: str) -> list[FaceSample]:
    file = path.with_name("face_landmarks_aflw_test_frontal.csv")
    frontal = faces_of(file, 5) if split == "test" and file.is_file() else set()
    return read_list(
        path, images, POINTS, box_size=True, subsets=lambda fields: ("frontal",) if fields in frontal else ()
    )


def _original(path: Path, images: Path, split: str) -> list[FaceSample]:
    names, points, boxes, seen, order = _load(path)
    chosen = order[:TRAINED] if split == "train" else order[TRAINED:]
    if split == "frontal":
        chosen = [index for index in chosen if seen[index].all()]
    samples = []
    for index in chosen:
        where = f"{path}, face {index}"
        left, right, top, bottom = (float(edge) for edge in boxes[index])
        side = max(right - left, bottom - top)
        if not side > 0:
            raise ValueError(f"{where} has a box of no size")
        samples.append(
            FaceSample(
                images / names[index],
                as_points(points[index].reshape(2, POINTS).T.ravel(), POINTS, where),
                (left, top, right - left, bottom - top),
                side,
                ("frontal",) if split == "test" and seen[index].all() else (),
                f"{names[index]} ({where})",
            )
        )
    return samples


def _load(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, Sequence[int]]:
    """names, points (N, 38: all x, then all y), boxes (N, 4: left, right, top, bottom), seen (N, 19) and the order."""
    with reading_mat(path, "AFLWinfo_release.mat") as content:
        names = [str(np.ravel(entry)[0]) for entry in np.ravel(content["nameList"])]
        points, boxes, seen = content["data"].astype(float), content["bbox"].astype(float), content["mask_new"] == 1
        order = (np.ravel(content["ra"]).astype(int) - 1).tolist()
    shapes = (points.shape, boxes.shape, seen.shape, len(order))
    count = len(names)
    if shapes != ((count, 2 * POINTS), (count, 4), (count, POINTS), count):
        raise ValueError(f"{path}: data, bbox, mask_new and ra are {shapes} for {count} names")
    return names, points, boxes, seen, order

"""WFLW, 300W, COFW and AFLW: faces in the data sets' own files, or the lists of HRNet-Facial-Landmark-Detection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..tasks.files import replacing
from ..tasks.optional import h5py
from .files import check_count, scene_seed, write_picture, write_text
from .portraits import ATTRIBUTES, FaceTruth, face_scene

LAYOUTS = ("original", "official")
# Names of the official lists of WFLW's subsets.
_LISTS = {
    "pose": "largepose", "expression": "expression", "illumination": "illumination", "make-up": "makeup",
    "occlusion": "occlusion", "blur": "blur",
}  # fmt: skip


def write_wflw(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (256, 256),
    *,
    layout: str = "original",
    split: str = "test",
    photographs: str | Path | None = None,
) -> Path:
    """Writes faces with 98 points and six attributes, and returns root.

    layout "original": WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_<split>.txt (x and y of the
    points, the box's corners, the attributes, the name) and WFLW_images/; "official": face_landmarks_wflw_<split>.csv,
    the lists of the subsets, and images/. size: (H, W) of the pictures; photographs: for the background.
    """
    folder = _folder(layout, "WFLW_images")
    faces = list(_faces(Path(root) / folder, "faces/{:04d}.jpg", images, seed, size, photographs))
    if layout == "original":
        lines = []
        for name, face in faces:
            flags = [str(int(face.attributes[attribute])) for attribute in ATTRIBUTES]
            corners = [str(round(side)) for side in face.box]
            lines.append(" ".join([*_numbers(face.landmarks), *corners, *flags, name]))
        path = Path(root, "WFLW_annotations", "list_98pt_rect_attr_train_test", f"list_98pt_rect_attr_{split}.txt")
        write_text(path, lines)
        return Path(root)
    path = Path(root, f"face_landmarks_wflw_{split}.csv")
    _write_list(path, faces, 98)
    for attribute, part in _LISTS.items():
        chosen = [(name, face) for name, face in faces if face.attributes[attribute]]
        if chosen:
            _write_list(path.with_name(f"{path.stem}_{part}.csv"), chosen, 98)
    return Path(root)


def write_300w(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (256, 256),
    *,
    layout: str = "original",
    photographs: str | Path | None = None,
) -> Path:
    """Writes faces with 68 points, and returns root: every third picture is one of the challenging ones (IBUG).

    layout "original": helen/testset, lfpw/testset and ibug, with a .pts file (pixels counted from 1) beside each
    picture; "official": face_landmarks_300w_valid.csv, _common and _challenge, and images/.
    """
    base = Path(root) / _folder(layout, "")
    folders: dict[str, list[tuple[str, FaceTruth]]] = {"ibug": [], "helen/testset": [], "lfpw/testset": []}
    names = [f"{list(folders)[index % 3]}/{index + 1:04d}.jpg" for index in range(images)]
    check_count(images)
    for index, name in enumerate(names):
        # What challenges in IBUG is pose, expression and cover.
        hard = {"pose": True, "expression": True} if name.startswith("ibug") else {"pose": False, "blur": False}
        picture, face = face_scene(scene_seed(seed, index), size, photographs, **hard)
        write_picture(base / name, picture)
        folders[name.rpartition("/")[0]].append((name, face))
    if layout == "original":
        for folder, faces in folders.items():
            (base / folder).mkdir(parents=True, exist_ok=True)
            for name, face in faces:
                lines = [f"{x:.3f} {y:.3f}" for x, y in face.points(68) + 1]
                write_text((base / name).with_suffix(".pts"), ["version: 1", "n_points: 68", "{", *lines, "}"])
        return Path(root)
    common = folders["helen/testset"] + folders["lfpw/testset"]
    parts = {"valid": common + folders["ibug"], "valid_common": common, "valid_challenge": folders["ibug"]}
    for part, faces in parts.items():
        _write_list(Path(root, f"face_landmarks_300w_{part}.csv"), faces, 68)
    return Path(root)


def write_cofw(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (256, 256),
    *,
    split: str = "test",
    photographs: str | Path | None = None,
) -> Path:
    """Writes faces with 29 points into COFW_<split>_color.mat (Matlab 7.3, which is HDF5), and returns root.

    IsT (IsTr for train): cells with the pictures; phisT: x, y and occlusion of the points; bboxesT: their boxes, x, y,
    width, height.
    """
    if split not in ("train", "test"):
        raise ValueError(f"COFW has no split {split!r}; choose train or test")
    check_count(images)
    end, points, boxes = {"train": "Tr", "test": "T"}[split], [], []
    hdf5 = h5py()
    with replacing(Path(root, f"COFW_{split}_color.mat")) as path:
        with hdf5.File(path, "w", userblock_size=512) as file:
            cells = file.create_dataset(f"Is{end}", (1, images), hdf5.ref_dtype)
            for index in range(images):
                picture, face = face_scene(scene_seed(seed, index), size, photographs)
                # Matlab lays columns out first, so HDF5 sees (3, W, H).
                cells[0, index] = file.create_dataset(f"#refs#/{index}", data=picture.T).ref
                marks = face.points(29)
                points.append(np.concatenate([marks[:, 0], marks[:, 1], face.occluded(29)]))
                boxes.append(np.concatenate([marks.min(axis=0), np.ptp(marks, axis=0)]))
            file[f"phis{end}"] = np.stack(points, axis=1)
            file[f"bboxes{end}"] = np.stack(boxes, axis=1)
        with path.open("r+b") as file:
            file.write(_MATLAB)
    return Path(root)


# Matlab's header: 124 bytes of text, the version 2.0 and the byte order.
_MATLAB = b"MATLAB 7.3 MAT-file, drawn by hrnet_fast".ljust(124) + b"\x00\x02IM"


def write_aflw(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (256, 256),
    *,
    photographs: str | Path | None = None,
) -> Path:
    """Writes faces with 19 points as face_landmarks_aflw_test.csv, and returns root.

    face_landmarks_aflw_test_frontal.csv lists those whose points are all seen; the pictures are in images/.
    """
    faces = list(_faces(Path(root, "images"), "0/image{:05d}.jpg", images, seed, size, photographs))
    _write_list(Path(root, "face_landmarks_aflw_test.csv"), faces, 19, box_size=True)
    frontal = [(name, face) for name, face in faces if not face.occluded(19).any()]
    _write_list(Path(root, "face_landmarks_aflw_test_frontal.csv"), frontal, 19, box_size=True)
    return Path(root)


def _folder(layout: str, original: str) -> str:
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not known; choose one of {', '.join(LAYOUTS)}")
    return original if layout == "original" else "images"


def _faces(
    folder: Path, name: str, images: int, seed: int, size: tuple[int, int], photographs: str | Path | None
) -> Iterator[tuple[str, FaceTruth]]:
    """Writes the pictures and gives (name, truth) of each."""
    check_count(images)
    for index in range(images):
        picture, face = face_scene(scene_seed(seed, index), size, photographs)
        write_picture(folder / name.format(index), picture)
        yield name.format(index), face


def _write_list(path: Path, faces: list[tuple[str, FaceTruth]], count: int, box_size: bool = False) -> None:
    """image_name, scale, (box_size), center_w, center_h, and each point's x and y: lib/datasets/wflw.py and aflw.py."""
    titles = ["image_name", "scale", *(["box_size"] if box_size else []), "center_w", "center_h"]
    lines = [",".join(titles + [f"original_{k}_{axis}" for k in range(count) for axis in "xy"])]
    for name, face in faces:
        points = face.points(count)
        (left, top), (right, bottom) = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
        # The centre and scale that lib/datasets/cofw.py computes.
        side = max(right - left, bottom - top)
        box = [f"{side:g}"] if box_size else []
        middle = [f"{(left + right) / 2:g}", f"{(top + bottom) / 2:g}"]
        lines.append(",".join([name, f"{side / 200:g}", *box, *middle, *_numbers(points)]))
    write_text(path, lines)


def _numbers(points: np.ndarray) -> list[str]:
    return [f"{value:.3f}" for value in points.ravel()]

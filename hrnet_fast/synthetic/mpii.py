"""MPII Human Pose in the files of deep-high-resolution-net.pytorch: annot/valid.json and annot/gt_valid.mat."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..tasks.optional import scipy_io
from .files import check_count, scene_seed, write_bytes, write_json, write_picture
from .people import PersonTruth, figure_scene

# dataset_joints of gt_valid.mat, in the order of the joints.
JOINTS = (
    "rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head", "rwri", "relb", "rsho", "lsho",
    "lelb", "lwri",
)  # fmt: skip


def write_mpii(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (480, 640),
    *,
    split: str = "valid",
    photographs: str | Path | None = None,
) -> Path:
    """Writes people as MPII has them, and returns root.

    root/annot/<split>.json: per person the image, center, scale (of 200 pixels), joints and joints_vis, pixels counted
    from 1; root/annot/gt_<split>.mat: dataset_joints, pos_gt_src (16, 2, N), jnt_missing (16, N), headboxes_src
    (2, 2, N); root/images/*.jpg. size: (H, W) of the pictures; photographs: for the background.
    """
    check_count(images)
    root = Path(root)
    entries, marks, heads = [], [], []
    for index in range(images):
        picture, found = figure_scene(scene_seed(seed, index), size, photographs=photographs, crowds=False)
        name = f"{index + 1:09d}.jpg"
        write_picture(root / "images" / name, picture)
        for person in found:
            if (person.mpii[:, 2] > 0).any():
                entries.append(_entry(person, name))
                marks.append(person.mpii)
                heads.append(person.head)
    if not entries:
        raise ValueError(f"nobody can be seen in pictures of {size[0]} x {size[1]}: MPII needs larger ones, or more")
    write_json(root / "annot" / f"{split}.json", entries)
    write_bytes(root / "annot" / f"gt_{split}.mat", _truth(marks, heads))
    return root


def _entry(person: PersonTruth, name: str) -> dict[str, object]:
    x, y, width, height = person.box
    marked = person.mpii[:, 2] > 0
    joints = np.where(marked[:, None], person.mpii[:, :2] + 1, -1.0)
    return {
        "image": name,
        "center": [x + (width - 1) / 2 + 1, y + (height - 1) / 2 + 1],
        "scale": max(width, height) / 200,
        "joints": np.round(joints, 2).tolist(),
        "joints_vis": marked.astype(int).tolist(),
    }


def _truth(marks: list[np.ndarray], heads: list[tuple[float, float, float, float]]) -> bytes:
    joints = np.stack(marks, axis=-1)
    corners = np.stack([np.reshape(head, (2, 2)) + 1 for head in heads], axis=-1)
    names = np.empty((1, len(JOINTS)), object)
    names[0] = JOINTS
    content = io.BytesIO()
    scipy_io().savemat(
        content,
        {
            "dataset_joints": names,
            "jnt_missing": (joints[:, 2] == 0).astype(np.float64),
            "pos_gt_src": np.where(joints[:, 2:] > 0, joints[:, :2] + 1, 0.0),
            "headboxes_src": corners,
        },
    )
    return _HEADER.ljust(116).encode() + content.getvalue()[116:]


# SciPy writes the date into the first 116 bytes, which are free text.
_HEADER = "MATLAB 5.0 MAT-file, drawn by hrnet_fast"

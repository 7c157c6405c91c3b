"""LIP and PASCAL-Context: pictures with a label for each pixel, in their own folders."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..tasks.optional import scipy_io
from .files import check_count, scene_seed, write_bytes, write_picture, write_text
from .scenes import parsing_scene, place_scene

LAYOUTS = ("masks", "original")


def write_lip(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (320, 200),
    *,
    split: str = "val",
    photographs: str | Path | None = None,
) -> Path:
    """Writes single people with the labels of their parts, and returns root.

    root/TrainVal_images/<split>_images/<id>.jpg, <split>_id.txt beside that folder, and
    root/TrainVal_parsing_annotations/<split>_segmentations/<id>.png. size: (H, W); photographs: for the background.
    """
    check_count(images)
    root, ids = Path(root), []
    for index in range(images):
        picture, labels = parsing_scene(scene_seed(seed, index), size, photographs)
        ids.append(f"{index + 1:06d}_{seed:06d}")
        write_picture(root / "TrainVal_images" / f"{split}_images" / f"{ids[-1]}.jpg", picture)
        write_picture(root / "TrainVal_parsing_annotations" / f"{split}_segmentations" / f"{ids[-1]}.png", labels)
    write_text(root / "TrainVal_images" / f"{split}_id.txt", ids)
    return root


def write_pascal_context(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (320, 480),
    *,
    layout: str = "masks",
    split: str = "val",
    photographs: str | Path | None = None,
) -> Path:
    """Writes streets, landscapes and rooms with labels of 59 classes and background, and returns root.

    root/VOCdevkit/VOC2010/JPEGImages/<id>.jpg, and for layout "masks" SegmentationClassContext/<id>.png and
    ImageSets/SegmentationContext/<split>.txt there; for "original" root/trainval/<id>.mat (LabelMap, by the ids of the
    459 classes; needs SciPy) and ImageSets/Main/<split>.txt.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not known; choose one of {', '.join(LAYOUTS)}")
    check_count(images)
    root, ids = Path(root), []
    voc = root / "VOCdevkit" / "VOC2010"
    for index in range(images):
        picture, labels = place_scene(scene_seed(seed, index), size, photographs)
        ids.append(f"2010_{index + 1:06d}")
        write_picture(voc / "JPEGImages" / f"{ids[-1]}.jpg", picture)
        if layout == "masks":
            write_picture(voc / "SegmentationClassContext" / f"{ids[-1]}.png", labels)
        else:
            write_bytes(root / "trainval" / f"{ids[-1]}.mat", _label_map(labels))
    sets = "SegmentationContext" if layout == "masks" else "Main"
    write_text(voc / "ImageSets" / sets / f"{split}.txt", ids)
    return root


def _label_map(labels: np.ndarray) -> bytes:
    from ..tasks.segmentation.pascal_context import CONTEXT_IDS  # here, since it needs torch and nothing else here does

    content = io.BytesIO()
    scipy_io().savemat(content, {"LabelMap": np.array([0, *CONTEXT_IDS], np.uint16)[labels]}, do_compression=True)
    # SciPy writes the date into the first 116 bytes, which are free text.
    return b"MATLAB 5.0 MAT-file, drawn by hrnet_fast".ljust(116) + content.getvalue()[116:]

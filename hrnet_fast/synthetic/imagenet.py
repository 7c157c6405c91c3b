"""A folder of class folders, as ImageNet's validation pictures are laid out."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .files import check_count, scene_seed, write_picture
from .people import figure_scene
from .photographs import background
from .portraits import face_scene
from .streets import street_scene

# WordNet's ids of "person", "face" and "street"; a photograph alone has an id of the same form, which WordNet lacks.
CLASSES: dict[str, tuple[str, Callable[[int, tuple[int, int], str | Path | None], np.ndarray]]] = {
    "n00007846": ("figure", lambda seed, size, folder: figure_scene(seed, size, 1, folder, crowds=False)[0]),
    "n04334599": ("street", lambda seed, size, folder: street_scene(seed, size, folder)[0]),
    "n05600637": ("face", lambda seed, size, folder: face_scene(seed, size, folder)[0]),
    "n99999999": ("backdrop", lambda seed, size, folder: background(random.Random(f"backdrop {seed}"), size, folder)),
}


def write_imagenet(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (256, 320),
    *,
    split: str = "val",
    photographs: str | Path | None = None,
) -> Path:
    """Writes pictures of four classes in turn, and returns root.

    root/<split>/<class>/ILSVRC2012_val_00000001.JPEG, ...; a class folder is missing if no picture falls to it.
    """
    check_count(images)
    classes = list(CLASSES)
    for index in range(images):
        wordnet = classes[index % len(classes)]
        picture = CLASSES[wordnet][1](scene_seed(seed, index), size, photographs)
        write_picture(Path(root, split, wordnet, f"ILSVRC2012_val_{index + 1:08d}.JPEG"), picture)
    return Path(root)

"""Cityscapes: leftImg8bit and gtFine with labelIds, instanceIds and color."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .files import check_count, scene_seed, write_picture
from .streets import street_scene

# cityscapesScripts, helpers/labels.py: colours of the classes that are not trained; the rest of them is black.
_UNTRAINED = {
    6: (81, 0, 81), 9: (250, 170, 160), 29: (0, 0, 90), 30: (0, 0, 110),
}  # fmt: skip


def colours() -> np.ndarray:
    """Colour of each label id, uint8 (34, 4) RGBA, as gtFine's color images have it."""
    from ..tasks.segmentation.cityscapes_labels import TRAINED  # here, since it needs torch and nothing else here does

    table = np.zeros((34, 4), np.uint8)
    table[:, 3] = 255
    for identity, colour in [(label.id, label.colour) for label in TRAINED] + list(_UNTRAINED.items()):
        table[identity, :3] = colour
    return table


def write_cityscapes(
    root: str | Path,
    images: int = 8,
    seed: int = 0,
    size: tuple[int, int] = (256, 512),
    *,
    split: str = "val",
    city: str = "musterstadt",
    photographs: str | Path | None = None,
) -> Path:
    """Writes streets as Cityscapes has them, and returns root.

    root/leftImg8bit/<split>/<city>/<city>_000000_000000_leftImg8bit.png, and in root/gtFine likewise
    ..._gtFine_labelIds.png, _instanceIds.png (16 bits) and _color.png. size: (H, W); the real pictures are 1024 x 2048.
    """
    check_count(images)
    for index in range(images):
        picture, truth = street_scene(scene_seed(seed, index), size, photographs)
        name = f"{city}_000000_{index:06d}"
        write_picture(Path(root, "leftImg8bit", split, city, f"{name}_leftImg8bit.png"), picture)
        labels = Path(root, "gtFine", split, city)
        write_picture(labels / f"{name}_gtFine_labelIds.png", truth.label_ids)
        write_picture(labels / f"{name}_gtFine_instanceIds.png", truth.instance_ids)
        write_picture(labels / f"{name}_gtFine_color.png", colours()[truth.label_ids])
    return Path(root)

"""Label maps as PNG files."""

from __future__ import annotations

import os

from ..files import replacing
from ..optional import pillow
from .cityscapes_labels import label_ids
from .results import Segmentation


def save_labels(result: Segmentation, path: str | os.PathLike[str], *, server: bool = False) -> None:
    """Writes the labels as an 8-bit PNG with the data set's palette, whole or not at all.

    server: Cityscapes only: label ids (7 for road, ...) in grey, as its evaluation server takes them.
    Errors: ValueError for `server` with other classes; OSError if the file cannot be written, of which nothing remains.
    """
    image = pillow()
    if server and result.classes.name != "cityscapes":
        raise ValueError(f"the server of Cityscapes takes its own label ids, which {result.classes.name} has not")
    labels = result.labels.cpu()
    if server:
        picture = image.fromarray(label_ids()[labels.int()].numpy())
    else:
        picture = image.fromarray(labels.numpy())
        picture.putpalette(result.classes.colours().flatten().tolist())
    with replacing(path) as part:
        picture.save(part, format="PNG")

"""Label maps as PNG files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .cityscapes_labels import label_ids
from .results import Segmentation


def save_labels(result: Segmentation, path: str | os.PathLike, *, server: bool = False) -> None:
    """Writes the labels as an 8-bit PNG with the data set's palette, whole or not at all.

    server: Cityscapes only: label ids (7 for road, ...) in grey, as its evaluation server takes them.
    Errors: ValueError for `server` with other classes; OSError if the file cannot be written, of which nothing remains.
    """
    try:
        from PIL import Image
    except ImportError:
        raise RuntimeError('saving label maps needs Pillow: pip install "hrnet_fast[tasks]"') from None

    if server and result.classes.name != "cityscapes":
        raise ValueError(f"the server of Cityscapes takes its own label ids, which {result.classes.name} has not")
    labels = result.labels.cpu()
    if server:
        picture = Image.fromarray(label_ids()[labels.int()].numpy())
    else:
        picture = Image.fromarray(labels.numpy())
        picture.putpalette(result.classes.colours().flatten().tolist())
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            picture.save(file, format="PNG")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

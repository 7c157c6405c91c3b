"""Lists of `name label` lines."""

from __future__ import annotations

import re
from pathlib import Path

from ..files import read_text

_LINE = re.compile(r"(.+?)[\s,]+(\S+)")


def read_labels(
    path: Path,
) -> tuple[tuple[str, ...], dict[str, int]]:  # the classes' names, empty if labels are numbers; file name -> label
    """Reads Caffe's val.txt (`ILSVRC2012_val_00000001.JPEG 65`) or the same with names of classes, a comma or spaces
    between. Names are numbered in their order. Folders before a file's name are dropped.

    Errors: FileNotFoundError; ValueError that names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no list of labels {path}: it has lines such as `picture.JPEG 65`")
    labels: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{path}, line {number}: {line!r} is not `name label`")
        labels[Path(match[1]).name] = match[2]
    if not labels:
        raise ValueError(f"{path} has no labels")
    if all(label.isdigit() for label in labels.values()):
        return (), {name: int(label) for name, label in labels.items()}
    classes = tuple(sorted(set(labels.values())))
    index = {name: position for position, name in enumerate(classes)}
    return classes, {name: index[label] for name, label in labels.items()}

"""The lists that come with HRNet-Facial-Landmark-Detection: face_landmarks_<data set>_<split>.csv.

One line a face, below a line of titles: image_name, scale, (box_size, for AFLW), center_w, center_h, x0, y0, x1, ...
Source: lib/datasets/wflw.py, face300w.py and aflw.py.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from ..files import read_text
from .boxes import box_of_center
from .samples import FaceSample, as_numbers, as_points

Subsets = Callable[[tuple[str, ...]], tuple[str, ...]]  # the first fields of a line -> the face's subsets


def read_list(
    path: Path, images: Path, points: int, *, box_size: bool = False, subsets: Subsets = lambda fields: ()
) -> list[FaceSample]:
    """The faces of a list.

    images: the folder that the names are relative to. box_size: whether there is that column.
    Errors: ValueError that names the line, for missing columns, texts that are no numbers, NaN and impossible boxes.
    """
    first = 5 if box_size else 4
    samples = []
    for number, fields in _lines(path):
        where = f"{path}, line {number}"
        if len(fields) < first + 2 * points:
            raise ValueError(
                f"{where} has {len(fields)} columns; {first + 2 * points} were expected "
                f"({first} of the image and its box, and {points} points)"
            )
        scale, *size, x, y = as_numbers(fields[1:first], where)
        if not scale > 0 or (box_size and not size[0] > 0):
            raise ValueError(f"{where} has a box of no size (scale {scale:g})")
        samples.append(
            FaceSample(
                images / fields[0],
                as_points(as_numbers(fields[first:], where), points, where),
                box_of_center(x, y, scale),
                size[0] if box_size else None,
                subsets(tuple(fields[:first])),
                f"{fields[0]} ({where})",
            )
        )
    return samples


def faces_of(path: Path, columns: int) -> set[tuple[str, ...]]:
    """The first columns of each line, which name a face in another list of the same data set."""
    return {tuple(fields[:columns]) for _, fields in _lines(path)}


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) without the titles and empty lines."""
    number = 0
    try:
        for number, fields in enumerate(csv.reader(read_text(path).splitlines()), start=1):
            if number > 1 and any(fields):
                yield number, [field.strip() for field in fields]
    except csv.Error as error:
        raise ValueError(f"{path}, line {number + 1}, is not of a list of faces: {error}") from None

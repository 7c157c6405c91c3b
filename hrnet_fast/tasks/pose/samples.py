"""What the readers of data sets yield, and how they read JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class PoseSample:
    """A picture and its people.

    image: the file. image_id: what the data set calls it. boxes: (N, 4) float64 x, y, width, height in pixels; N may
    be 0. box_scores: (N,) float64.
    """

    image: Path
    image_id: int
    boxes: Tensor
    box_scores: Tensor


def read_json(path: Path, wanted: str) -> Any:
    """The contents of a JSON file. FileNotFoundError with `wanted` if it is missing; ValueError if it is damaged."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: {wanted}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON, or is cut off: {error}") from None


def is_numbers(values: Any, count: int) -> bool:
    """Whether `values`, read from JSON, is a list of `count` numbers; NaN is one."""
    return isinstance(values, list) and len(values) == count and all(isinstance(v, (int, float)) for v in values)


def field(entry: Any, name: str, where: str) -> Any:
    """entry[name]. ValueError, with `where`, if it is not there."""
    if not isinstance(entry, dict) or name not in entry:
        raise ValueError(f"{where} has no {name!r}")
    return entry[name]

"""JSON files of annotations, read with one sentence for what is missing in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .files import read_text

# Kinds of fields, as sentences call them
TEXT, WHOLE, NUMBER, LIST = "text", "a whole number", "a finite number", "a list"
_TYPES: dict[str, type | tuple[type, ...]] = {TEXT: str, WHOLE: int, NUMBER: (int, float), LIST: list}


def read_json(path: Path, wanted: str) -> Any:
    """The contents of a JSON file. FileNotFoundError with `wanted` if it is missing; ValueError if it is damaged."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: {wanted}") from None
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON, or is cut off: {error}") from None


def _whole(digits: str) -> int:
    if len(digits) > 18:  # neither torch nor pycocotools holds more
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def is_numbers(values: Any, count: int) -> bool:
    """Whether `values`, read from JSON, is a list of `count` numbers; NaN is one."""
    return isinstance(values, list) and len(values) == count and all(isinstance(v, (int, float)) for v in values)


def field(entry: Any, name: str, where: str, kind: str | None = None) -> Any:
    """entry[name]. ValueError, with `where`, if it is not there or not of that kind."""
    if not isinstance(entry, dict) or name not in entry:
        raise ValueError(f"{where} has no {name!r}")
    value = entry[name]
    wrong = kind is not None and not isinstance(value, _TYPES[kind])
    if wrong or (isinstance(value, float) and kind == NUMBER and not math.isfinite(value)):
        raise ValueError(f"{where} has the {name} {value!r:.60}; {kind} is needed")
    return value

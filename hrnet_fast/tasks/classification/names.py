"""Names of classes, from the files in which they are passed around."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..files import read_text

_WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class ClassName:
    """name: in words. wnid: the WordNet id (n01440764). Either may be unknown."""

    name: str | None
    wnid: str | None


# a file; a class's name, id or both each; or these by its number
Names: TypeAlias = "str | os.PathLike[str] | Iterable[str | Sequence[str]] | Mapping[Any, str | Sequence[str]]"


def read_class_names(source: Names) -> list[ClassName]:
    """The classes in the order of the network's outputs.

    source: a text file with one class a line, in words, as a WordNet id, or as both ("n01440764 tench", Caffe's
        synset_words.txt); a JSON file: a list, {"0": "tench"} or {"0": ["n01440764", "tench"]}; or such a list or dict.
    Errors: FileNotFoundError; ValueError for an empty file or a class that is neither, naming it.
    """
    where, listed = "the class names", source
    if isinstance(source, (str, os.PathLike)):
        where, listed = str(source), _read(Path(source))
    if isinstance(listed, Mapping):
        listed = _in_order(listed, where)
    if isinstance(listed, (str, bytes)) or not isinstance(listed, Iterable):
        raise ValueError(f"{where} must be a list of names or an object, not {type(listed).__name__}")
    if not (entries := list(listed)):  # an array has no truth value, and what is read once is always true
        raise ValueError(f"there is no class in {where}")
    return [_class_name(entry, index, where) for index, entry in enumerate(entries)]


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of class names {path}")
    try:
        text = read_text(path)
        return json.loads(text) if path.suffix == ".json" else [line for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise ValueError(f"{path} is not a readable list of class names: {error}") from None


def _in_order(source: Mapping[Any, Any], where: str) -> list[Any]:
    by_index = {str(key): value for key, value in source.items()}
    try:
        return [by_index[str(index)] for index in range(len(by_index))]
    except KeyError as error:
        raise ValueError(f"{where}: the class {error.args[0]} of {len(by_index)} is missing") from None


def _class_name(entry: Any, index: int, where: str) -> ClassName:
    if isinstance(entry, (list, tuple)) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
        return ClassName(entry[1], entry[0])
    if not isinstance(entry, str):
        raise ValueError(f"{where}: class {index} must be a name or a pair of a WordNet id and a name, not {entry!r}")
    first, _, rest = entry.strip().partition(" ")
    if _WNID.fullmatch(first):
        return ClassName(rest.strip() or None, first)
    return ClassName(entry.strip(), None)

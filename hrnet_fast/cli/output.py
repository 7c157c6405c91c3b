"""What a command gives back, and how it is written."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import Any

CHECK_FAILED = 1


@dataclass(frozen=True)
class Result:
    """data: what --json prints, plain dicts, lists and numbers. text: what is printed otherwise. code: exit code."""

    data: dict[str, Any]
    text: str
    code: int = 0


def to_json(data: dict[str, Any]) -> str:
    """One JSON object; numbers that JSON lacks become the strings "nan", "inf" and "-inf"."""
    return json.dumps(_plain(data), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def note(text: str) -> None:
    """Tells a person at a terminal what takes long; scripts see nothing."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def columns(rows: dict[str, str]) -> str:
    """`title  text` lines, the texts below each other."""
    width = max(map(len, rows))
    return "\n".join(f"{title:<{width}}  {text}".rstrip() for title, text in rows.items())

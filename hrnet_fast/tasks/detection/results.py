"""What a detector finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Detection:
    """One object.

    box: (x, y, width, height) in pixels of the original picture, whose upper left corner is (0, 0). score: 0..1, the
    softmax over the classes and the background. index: the network's class. label: what it is called.
    """

    box: tuple[float, float, float, float]
    score: float
    index: int
    label: str


def to_json(result: Sequence[Detection]) -> dict[str, Any]:
    """{"objects": [{"box", "score", "index", "label"}, ...]}, the likeliest first."""
    return {"objects": [{"box": list(o.box), "score": o.score, "index": o.index, "label": o.label} for o in result]}

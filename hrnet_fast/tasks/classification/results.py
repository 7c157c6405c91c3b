"""What a classifier says of one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Classification:
    """One class that a picture may show.

    index: the network's output. probability: 0..1, the softmax over all outputs. name, wnid: what the class is called
    and its WordNet id (n01440764), as far as a file of class names says.
    """

    index: int
    probability: float
    name: str | None = None
    wnid: str | None = None

    @property
    def label(self) -> str:
        """The name, else the WordNet id, else "class 7"."""
        return self.name or self.wnid or f"class {self.index}"


def to_json(result: Sequence[Classification]) -> dict[str, Any]:
    """{"classes": [{"index", "probability", "name", "wnid"}, ...]}, the likeliest first."""
    fields = ("index", "probability", "name", "wnid")
    return {"classes": [{field: getattr(entry, field) for field in fields} for entry in result]}

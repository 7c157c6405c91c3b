"""What tuning gives back."""

from __future__ import annotations

from typing import Generic, TypeVar

Found = TypeVar("Found")


class Tuning(dict[str, Found], Generic[Found]):
    """What tuning a plan found, by signature. left: levels, of those here too, that another call has to complete."""

    left: int = 0

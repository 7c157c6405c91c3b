"""What changes places in a mirror image."""

from __future__ import annotations

from collections.abc import Iterable


def mirrored(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Number k of a picture, below `count`, is number mirrored[k] of its mirror image. pairs: left and right ones."""
    order = list(range(count))
    for left, right in pairs:
        order[left], order[right] = right, left
    return order

"""Boxes of people or faces from a file."""

from __future__ import annotations

import json
from pathlib import Path

from hrnet_fast.tasks.files import read_text

from .arguments import UsageError

_FORM = '{"picture.jpg": [[x, y, width, height], ...], ...} in pixels (a fifth number is a score)'


class Boxes:
    """The boxes of --boxes FILE, a JSON object: a picture's path or file name -> its boxes [x, y, width, height] or
    [x, y, width, height, score].

    x, y: the upper left corner, in pixels. A video's boxes hold for all its frames.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._boxes = json.loads(read_text(path))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not JSON"
            raise UsageError(f"the boxes of {path} cannot be read: {reason}; it must hold {_FORM}") from None
        if not isinstance(self._boxes, dict):
            raise UsageError(f"{path} holds a {type(self._boxes).__name__}, but must hold {_FORM}")
        for name, boxes in self._boxes.items():
            if not isinstance(boxes, list) or not all(map(_is_box, boxes)):
                raise UsageError(
                    f"the boxes of {name!r} in {path} are not four or five numbers each; it must hold {_FORM}"
                )

    def of(self, source: Path) -> list[list[float]]:
        """ValueError if the file says nothing about this picture."""
        for name in (source.as_posix(), source.name):
            if name in self._boxes:
                return self._boxes[name]
        raise ValueError(f"{self.path} has no boxes for {source}")


def _is_box(box: object) -> bool:
    return (
        isinstance(box, list)
        and len(box) in (4, 5)
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in box)
    )

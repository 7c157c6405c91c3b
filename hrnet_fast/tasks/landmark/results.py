"""What landmark estimation gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..boxes import GIVEN
from .schemes import SCHEMES, Scheme


@dataclass(frozen=True, eq=False)
class Face:
    """One face; all coordinates are pixels of the original picture, (0, 0) the centre of its upper left pixel.

    points: (L, 2) float32 x, y, on the CPU. A point is always given, even for what is hidden.
    scores: (L,) float32, the heights of the heatmaps' peaks, about 0 to 1 for a trained network.
    box: (x, y, width, height) as given, before it is widened to the crop.
    box_score: the detector's, 1 if none was given.
    box_source: "given", or "image", where no box was given and the whole picture is taken for one face.
    """

    points: Tensor
    scores: Tensor
    box: tuple[float, float, float, float]
    box_score: float = 1.0
    box_source: str = GIVEN

    @property
    def score(self) -> float:
        """The mean of the points' scores."""
        return float(self.scores.mean())

    @property
    def scheme(self) -> Scheme | None:
        """What the points are, by their number; None for a number that no data set has."""
        return SCHEMES.get(len(self.points))


def to_json(faces: Sequence[Face]) -> dict[str, Any]:
    """The faces of one picture, in a form for `json.dump`; points are [x, y, score] in the scheme's order."""
    return {
        "faces": [
            {
                "points": [[*point, score] for point, score in zip(face.points.tolist(), face.scores.tolist())],
                "score": face.score,
                "box": list(face.box),
                "box_score": face.box_score,
                "box_source": face.box_source,
                "scheme": face.scheme and face.scheme.name,
            }
            for face in faces
        ]
    }

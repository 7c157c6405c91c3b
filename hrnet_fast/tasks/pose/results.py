"""What pose estimation gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .skeletons import Skeleton


@dataclass(frozen=True, eq=False)
class Person:
    """One person; all coordinates are pixels of the original picture, (0, 0) the centre of its upper left pixel.

    keypoints: (K, 2) float32 x, y, on the CPU. A keypoint is always given, even for what is hidden or not there.
    scores: (K,) float32, the heights of the heatmaps' peaks, about 0 to 1 for a trained network. Bottom-up 0 is a
        keypoint that was not found, whose x and y mean nothing.
    score: the mean of the keypoint scores above 0.2, times box_score (the official rescoring). Bottom-up: the mean of
        all that were found before `refine`, with 0 for the others (the official score).
    box: (x, y, width, height) as given, before it is widened to the crop. box_score: the detector's, 1 for given boxes.
    box_source: "given"; "detector"; "image", where no box was given and the whole picture is taken for one person; or
        "keypoints": bottom-up, the extent of the keypoints that were found.
    skeleton: names, limbs and mirror pairs of the K keypoints.
    """

    keypoints: Tensor
    scores: Tensor
    score: float
    box: tuple[float, float, float, float]
    box_score: float
    box_source: str
    skeleton: Skeleton


def to_json(people: Sequence[Person]) -> dict[str, Any]:
    """The people of one picture, in a form for `json.dump`; keypoints are [x, y, score] in the skeleton's order."""
    return {
        "people": [
            {
                "keypoints": [
                    [*point, score] for point, score in zip(person.keypoints.tolist(), person.scores.tolist())
                ],
                "score": person.score,
                "box": list(person.box),
                "box_score": person.box_score,
                "box_source": person.box_source,
                "skeleton": person.skeleton.name,
            }
            for person in people
        ]
    }

"""AP and AR of keypoints as COCO has them: the official rescoring and suppression, then pycocotools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..coco_scores import coco_stats
from .boxes import Regions
from .nms import suppression_of
from .rescore import rescore
from .samples import PoseSample

# The order of COCOeval.stats for keypoints; names as the papers' tables
METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
PIXEL_STD = 200  # lib/dataset/coco.py: `scale` is in units of it


class CocoScorer:
    """Collects people picture by picture; holds some 250 bytes a person.

    annotations: the contents of an annotation file; None if there are none, so that only `results` can be asked for.
    person: the id of the category of people.
    nms: as `suppression_of` takes it. threshold, sigmas: theirs.
    metric: the data set's; takes and gives what `average_precision` does.
    """

    def __init__(
        self,
        annotations: dict[str, Any] | None,
        person: int,
        nms: str | None,
        threshold: float,
        sigmas: Sequence[float],
        metric: Callable[..., dict[str, float]],
    ) -> None:
        self._annotations, self._person, self._metric = annotations, person, metric
        self._suppress, self._threshold, self._sigmas = suppression_of(nms), threshold, sigmas
        self._images: list[int] = []
        self._people: list[tuple[int, Tensor, Tensor, Regions | None]] = []

    def add(self, sample: PoseSample, points: Tensor, regions: Regions) -> None:
        """The people found in boxes, (N, K, 3) x, y, score; rescored and suppressed."""
        if not len(points):
            self._images.append(sample.image_id)
            return
        scores = rescore(points[..., 2].double(), sample.box_scores)
        if self._suppress is not None:
            keep = self._suppress(points, scores, regions.areas, self._sigmas, self._threshold)
            points, scores, regions = points[keep], scores[keep], Regions(regions.centers[keep], regions.sizes[keep])
        self.add_people(sample, points, scores, regions)

    def add_people(self, sample: PoseSample, points: Tensor, scores: Tensor, regions: Regions | None = None) -> None:
        """People (N, K, 3) with their scores (N,), as they are."""
        self._images.append(sample.image_id)
        self._people.append((sample.image_id, points, scores, regions))

    def results(self) -> list[dict[str, Any]]:
        """COCO's results format; of people in boxes with the official code's additional `center` and `scale`."""
        rows = []
        for image, points, scores, regions in self._people:
            more: list[dict[str, Any]] = [{} for _ in points]
            if regions is not None:
                places = regions.centers.tolist(), (regions.sizes / PIXEL_STD).tolist()
                more = [{"center": center, "scale": scale} for center, scale in zip(*places)]
            rows += [
                {"image_id": image, "category_id": self._person, "keypoints": keypoints, "score": score, **place}
                for keypoints, score, place in zip(points.flatten(1).double().tolist(), scores.tolist(), more)
            ]
        return rows

    def result(self) -> dict[str, float]:
        """AP and AR in per cent over the pictures that were added, without those of sizes that no person has."""
        if self._annotations is None:
            return {}
        metrics = self._metric(self._annotations, self.results(), self._images, self._person)
        return {name: 100.0 * value for name, value in metrics.items() if value >= 0}


def average_precision(
    annotations: dict[str, Any], results: list[dict[str, Any]], images: list[int], person: int = 1
) -> dict[str, float]:
    """COCOeval's ten numbers for keypoints over `images`, 0 to 1, -1 where there are no people of that size.

    annotations: the contents of a COCO annotation file. results: COCO's results format. person: the category's id.
    """
    (stats,) = keypoint_stats(annotations, results, [images], person)
    return dict(zip(METRICS, stats))


def keypoint_stats(
    annotations: dict[str, Any],
    results: list[dict[str, Any]],
    groups: Sequence[list[int]],
    person: int = 1,
    sigmas: Sequence[float] | None = None,
    by_size: bool = True,
) -> list[list[float]]:
    """COCOeval.stats for keypoints over each group of images.

    annotations, results, person: as `average_precision`. sigmas: of OKS, None for COCO's. by_size: whether medium and
    large people are scored by themselves too; if not, their numbers are -1.
    """

    def adjust(params: Any) -> None:
        if sigmas is not None:
            params.kpt_oks_sigmas = np.array(sigmas)
        if not by_size:
            params.areaRng, params.areaRngLbl = params.areaRng[:1], params.areaRngLbl[:1]

    return coco_stats(annotations, results, groups, "keypoints", [person], adjust)

"""COCO's AP and AR of keypoints: the official rescoring and suppression, then pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any

import torch
from torch import Tensor

from ..files import replacing
from ..optional import coco_tools
from .boxes import Regions
from .nms import OKS_THRE, suppression_of
from .rescore import rescore
from .samples import PoseSample
from .skeletons import COCO

# The order of COCOeval.stats for keypoints; names as the papers' tables
METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
PIXEL_STD = 200  # lib/dataset/coco.py: `scale` is in units of it


class CocoScorer:
    """Collects people picture by picture; holds some 250 bytes a person.

    annotations: the contents of an annotation file; None if there are none, so that only `results` can be asked for.
    person: the id of the category of people.
    nms: as `suppression_of` takes it. threshold: theirs.
    """

    def __init__(
        self,
        annotations: dict[str, Any] | None,
        person: int = 1,
        nms: str | None = "hard",
        threshold: float = OKS_THRE,
    ) -> None:
        self._person = person
        self._annotations, self._suppress, self._threshold = annotations, suppression_of(nms), threshold
        self._images: list[int] = []
        self._people: list[tuple[int, Tensor, Tensor, Regions | None]] = []

    def add(self, sample: PoseSample, points: Tensor, regions: Regions) -> None:
        """The people found in boxes, (N, 17, 3) x, y, score; rescored and suppressed."""
        if not len(points):
            self._images.append(sample.image_id)
            return
        scores = rescore(points[..., 2].double(), sample.box_scores)
        if self._suppress is not None:
            keep = self._suppress(points, scores, regions.areas, COCO.sigmas, self._threshold)
            points, scores, regions = points[keep], scores[keep], Regions(regions.centers[keep], regions.sizes[keep])
        self.add_people(sample, points, scores, regions)

    def add_people(self, sample: PoseSample, points: Tensor, scores: Tensor, regions: Regions | None = None) -> None:
        """People (N, 17, 3) with their scores (N,), as they are."""
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
        stats = average_precision(self._annotations, self.results(), self._images, self._person)
        return {name: 100.0 * value for name, value in zip(METRICS, stats) if value >= 0}


def average_precision(
    annotations: dict[str, Any], results: list[dict[str, Any]], images: list[int], person: int = 1
) -> list[float]:
    """COCOeval's ten numbers for keypoints over `images`, 0 to 1, -1 where there are no people of that size.

    annotations: the contents of a COCO annotation file. results: COCO's results format. person: the category's id.
    """
    coco = coco_tools()
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints each of its steps
        truth = coco.COCO()
        truth.dataset = annotations
        truth.createIndex()
        if results:
            found = truth.loadRes([dict(row) for row in results])
        else:  # loadRes cannot take an empty list
            found = coco.COCO()
            found.dataset = {name: annotations[name] for name in ("images", "categories")} | {"annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.params.imgIds, evaluation.params.catIds = sorted(set(images)), [person]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return torch.as_tensor(evaluation.stats).tolist()


def write_results(path: str | os.PathLike, results: list[dict[str, Any]]) -> None:
    """Writes COCO's results format for COCO's server; whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(results))

"""A detector on COCO, beside the score of mmdetection's model zoo."""

from __future__ import annotations

import os
from itertools import islice

from ..evaluation import Evaluation, Progress, differences
from ..images import Stored, read_image
from ..scored import check_results, scored
from ..stages import Stages
from .coco import BoxScorer, CocoObjects
from .estimator import IOU_THRESHOLD, LONG_SIDE, MOST, SHORT_SIDE, THRESHOLD, Detector
from .paper import paper_row

_OFFICIAL = {
    "short_side": SHORT_SIDE, "long_side": LONG_SIDE, "threshold": THRESHOLD, "iou_threshold": IOU_THRESHOLD,
    "most": MOST,
}  # fmt: skip


def evaluate(
    estimator: Detector,
    dataset: CocoObjects,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
    results: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """AP and AR of boxes in per cent, by COCO's evaluator. Pictures stream through: only boxes are kept.

    limit: use only the first so many pictures, for the metric too. progress: called with how many more are done.
        results: also writes the boxes to this file, in the format that COCO's server takes.
    Errors: ValueError for an empty data set, for one without any of the network's classes, and for a split without
        annotations if `results` is not given; OSError for `results` that cannot be written; those of `read_image`.
    """
    network = estimator.network
    ids = dataset.ids_of(estimator.names)
    check_results(dataset, results)
    scorer = BoxScorer(dataset.annotations if dataset.has_annotations else None, list(dataset.categories.values()))
    stages = stages if stages is not None else Stages(network.device)
    images = 0
    for sample in islice(dataset, limit):
        with stages("read"):
            picture = read_image(Stored(sample.image))
        found = estimator.find(picture, stages=stages)
        with stages("score"):
            scorer.add(sample.image_id, found, ids)
        images += 1
        if progress is not None:
            progress(1)
    row = paper_row(network.official_name, dataset.split)
    notes = list(differences(estimator, _OFFICIAL)) if row else []
    if missing := len(dataset.categories.keys() - {*estimator.names}):
        notes.append(f"{missing} of the {len(dataset.categories)} annotated categories are none of the network's")
    return scored("detection", network, dataset, scorer, images, stages, row, notes, results)

"""A bottom-up network on COCO or CrowdPose, by the data set's own metric, beside the official repository's scores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from ..evaluation import Evaluation, Progress, differences
from ..images import Stored, read_image
from ..pose.coco import CocoPictures
from ..pose.evaluate import check_keypoints
from ..scored import check_results, scored
from ..stages import Stages
from .estimator import BottomUpPoseEstimator
from .grouping import OFFICIAL
from .paper import paper_row


def evaluate(
    estimator: BottomUpPoseEstimator,
    dataset: CocoPictures,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
    results: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """AP and AR in per cent, without suppression or rescoring, as official. Pictures stream through: only keypoints are
    kept.

    limit: use only the first so many pictures, for the metric too. progress: called with how many more are done.
        results: also writes the people to this file, in the format that COCO's server takes.
    Errors: those of `pose.evaluate`.
    """
    network = estimator.network
    check_keypoints(network, dataset)
    check_results(dataset, results)
    scorer = dataset.scorer()
    stages = stages if stages is not None else Stages(network.device)
    images = 0
    for sample in islice(dataset, limit):
        with stages("read"):
            picture = read_image(Stored(sample.image))
        points, scores = estimator.keypoints(picture, stages=stages)
        with stages("score"):
            scorer.add_people(sample, points, scores)
        images += 1
        if progress is not None:
            progress(1)
    row = paper_row(network.official_name, dataset.name, dataset.split, estimator.scales)
    notes = _differences(estimator) if row else ()
    return scored("bottom_up", network, dataset, scorer, images, stages, row, notes, results)


def _differences(estimator: BottomUpPoseEstimator) -> Iterator[str]:
    official = {"flip_test": True, "project": True, "adjust": True, "refine": True, "grouping": OFFICIAL}
    config = estimator.network.config  # None of a model that no paper has
    return differences(estimator, {**official, "short_side": min(config.input_size)} if config else official)

"""A pose network on a data set, by the data set's own metric, beside the paper's."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from ..evaluation import Evaluation, Progress, usual_notes
from ..images import Stored, read_image
from ..stages import Stages
from .boxes import Regions
from .coco import CocoKeypoints
from .coco_scorer import CocoScorer, write_results
from .estimator import PoseEstimator
from .mpii import Mpii
from .paper import paper_row
from .samples import PoseSample

_NO_PICTURE = torch.empty(0, 0, 3, dtype=torch.uint8)


def evaluate(
    estimator: PoseEstimator,
    dataset: CocoKeypoints | Mpii,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
    results: str | os.PathLike | None = None,
) -> Evaluation:
    """AP and AR (COCO, CrowdPose) or PCKh (MPII) in per cent. Pictures stream through: only keypoints are kept.

    limit: use only the first so many pictures, for the metric too. progress: called with how many more are done.
        results: COCO, CrowdPose: also writes the people to this file, in the format that COCO's server takes.
    Errors: ValueError for an empty data set and for a network with other keypoints; those of `read_image`.
    """
    if dataset.keypoints != estimator.network.num_outputs:
        raise ValueError(
            f"{dataset.name} has {dataset.keypoints} keypoints and {estimator.network.name} "
            f"{estimator.network.num_outputs}: they cannot be compared"
        )
    scorer = dataset.scorer()
    if results is not None and not isinstance(scorer, CocoScorer):
        raise ValueError(f"results are a file for COCO's server; {dataset.name} has none")
    stages = stages if stages is not None else Stages(estimator.network.device)
    waiting: deque[tuple[PoseSample, Regions]] = deque()

    def requests() -> Iterator[tuple[Tensor, Regions]]:
        for sample in islice(dataset, limit):
            regions = estimator.regions(sample.boxes)
            waiting.append((sample, regions))
            if not len(regions):
                yield _NO_PICTURE, regions
                continue
            with stages("read"):
                picture = read_image(Stored(sample.image))
            yield picture, regions

    images = 0
    for points in estimator.keypoints(requests(), stages=stages):
        sample, regions = waiting.popleft()
        with stages("score"):
            scorer.add(sample, points, regions)
        images += 1
        if progress is not None:
            progress(1)
    if not images:
        raise ValueError(f"{dataset.name} {dataset.split} is empty: there is nothing to evaluate")
    with stages("score"):
        metrics = scorer.result()
    if results is not None:
        write_results(results, scorer.results())
    return Evaluation(
        task="pose",
        dataset=f"{dataset.name} {dataset.split}",
        model=estimator.network.name,
        images=images,
        metrics=metrics,
        paper=paper_row(estimator.network.name, dataset.name, dataset.split),
        seconds=stages.seconds,
        notes=tuple(_notes(estimator, dataset, images)),
    )


def _notes(estimator: PoseEstimator, dataset: CocoKeypoints | Mpii, images: int) -> Iterator[str]:
    yield from usual_notes(estimator.network.random_weights, images, len(dataset), dataset.samples)
    if not estimator.flip_test and paper_row(estimator.network.name, dataset.name, dataset.split):
        yield "without the flip test, which the paper's row has"
    yield from dataset.notes

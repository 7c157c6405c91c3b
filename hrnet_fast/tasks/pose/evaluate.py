"""A pose network on a data set, by the data set's own metric, beside the paper's."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from ..evaluation import Evaluation, Progress, differences
from ..images import Stored, read_image
from ..network import Network
from ..scored import check_results, scored
from ..stages import Stages
from .boxes import Regions
from .coco import CocoKeypoints, CocoPictures
from .estimator import PoseEstimator
from .mpii import Mpii
from .nms import OKS_THRE
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
    results: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """AP and AR (COCO, CrowdPose) or PCKh (MPII) in per cent. Pictures stream through: only keypoints are kept.

    limit: use only the first so many pictures, for the metric too. progress: called with how many more are done.
        results: COCO, CrowdPose: also writes the people to this file, in the format that COCO's server takes.
    Errors: ValueError for an empty data set, for a network with other keypoints and for a split without annotations if
        `results` is not given; OSError for `results` that cannot be written; those of `read_image`.
    """
    network = estimator.network
    check_keypoints(network, dataset)
    check_results(dataset, results)
    scorer = dataset.scorer()
    stages = stages if stages is not None else Stages(network.device)
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
    row = paper_row(network.official_name, dataset.name, dataset.split)
    notes = _differences(estimator, dataset) if row else ()
    return scored("pose", network, dataset, scorer, images, stages, row, notes, results)


def _differences(estimator: PoseEstimator, dataset: CocoKeypoints | Mpii) -> Iterator[str]:
    yield from differences(estimator, {"flip_test": True, "shift": True, "decode": "quarter"})
    if isinstance(dataset, CocoKeypoints):
        yield from differences(dataset, {"nms": "hard", "oks_threshold": OKS_THRE})


def check_keypoints(network: Network, dataset: CocoPictures | Mpii) -> None:
    """ValueError for a network with other keypoints than the data set's."""
    if dataset.keypoints != network.num_outputs:
        raise ValueError(
            f"{dataset.name} has {dataset.keypoints} keypoints and {network.name} {network.num_outputs}: "
            "they cannot be compared"
        )

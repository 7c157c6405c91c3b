"""Top-1 and top-5 on a data set, beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch

from ..evaluation import Evaluation, Progress, batches, usual_notes
from ..images import Stored
from ..stages import Stages
from .estimator import Classifier
from .imagenet import ImageNet
from .metrics import TopK
from .paper import paper_row


def evaluate(
    estimator: Classifier,
    dataset: ImageNet,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
) -> Evaluation:
    """Top-1 and top-5 accuracy in per cent; memory does not grow with the data set.

    dataset: yields samples with `image` (whatever `read_image` takes) and `label`.
    limit: only the first so many pictures. progress: is told after each batch
        (`estimator.batch_size` pictures) how many it had.
    Errors: ValueError for an empty data set and for labels beyond the network's classes; those of `read_image`.
    """
    stages = stages if stages is not None else Stages(estimator.network.device)
    classes = estimator.network.num_outputs
    names = getattr(dataset, "classes", ())
    if len(names) > classes:
        raise ValueError(f"{dataset} has {len(names)} classes, but {estimator.network.name} has only {classes}")
    metric = TopK()
    for samples in batches(islice(dataset, limit), estimator.batch_size):
        scores = estimator.probabilities([Stored(sample.image) for sample in samples], stages=stages)
        metric.add(scores, torch.tensor([sample.label for sample in samples]))
        if progress is not None:
            progress(len(samples))
    if not metric.images:
        raise ValueError(f"{dataset} is empty: there is nothing to evaluate")
    row = paper_row(estimator.network.official_name, dataset.split, getattr(dataset, "num_classes", 0))
    return Evaluation(
        task="classification",
        dataset=f"{dataset.name} {dataset.split}",
        model=estimator.network.name,
        images=metric.images,
        metrics=metric.result(),
        paper=row and row[0],
        seconds=stages.seconds,
        notes=tuple(_notes(estimator, dataset, metric.images, row)),
    )


def _notes(
    estimator: Classifier, dataset: ImageNet, images: int, row: tuple[dict[str, float], str] | None
) -> Iterator[str]:
    what = "pictures, which come class by class in a folder of folders"
    yield from usual_notes(estimator.network.random_weights, images, len(dataset), what)
    names, classes = getattr(dataset, "classes", ()), estimator.network.num_outputs
    if names and len(names) < classes:
        yield (
            f"the data set has {len(names)} classes and the network {classes}: its first {len(names)} outputs are "
            "taken for them"
        )
    if row is not None:
        yield f"the paper's row is 100 minus the errors of {row[1]}, on all 50,000 validation pictures"

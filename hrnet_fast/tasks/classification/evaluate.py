"""Top-1 and top-5 on a data set, beside the paper's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch

from ..evaluation import Evaluation
from ..stages import Stages
from .estimator import Classifier
from .imagenet import ImageNet, Sample
from .metrics import TopK
from .paper import paper_row


def evaluate(
    classifier: Classifier,
    dataset: ImageNet,
    *,
    limit: int | None = None,
    progress: Callable[[int], object] | None = None,
    stages: Stages | None = None,
    batch: int = 16,
) -> Evaluation:
    """Top-1 and top-5 accuracy in per cent; memory does not grow with the data set.

    dataset: yields samples with `image` (whatever `read_image` takes) and `label`.
    limit: only the first so many pictures. progress: is told after each batch how many pictures it had.
    batch: pictures at once.
    Errors: ValueError for an empty data set and for labels beyond the network's classes; those of `read_image`.
    """
    stages = stages if stages is not None else Stages(classifier.network.device)
    classes = classifier.network.num_outputs
    names = getattr(dataset, "classes", ())
    if len(names) > classes:
        raise ValueError(f"{dataset} has {len(names)} classes, but {classifier.network.name} has only {classes}")
    metric = TopK()
    for samples in _batches(islice(dataset, limit), batch):
        scores = classifier.probabilities([sample.image for sample in samples], stages=stages)
        metric.add(scores, torch.tensor([sample.label for sample in samples]))
        if progress is not None:
            progress(len(samples))
    if not metric.images:
        raise ValueError(f"{dataset} is empty: there is nothing to evaluate")
    row = paper_row(classifier.network.name)
    return Evaluation(
        task="classification",
        dataset=f"{dataset.name} {dataset.split}",
        model=classifier.network.name,
        images=metric.images,
        metrics=metric.result(),
        paper=row and row[0],
        seconds=stages.seconds,
        notes=tuple(_notes(classifier, dataset, metric.images, row)),
    )


def _notes(classifier: Classifier, dataset: ImageNet, images: int, row: tuple | None) -> Iterator[str]:
    if classifier.network.random_weights:
        yield "the weights are random, as none were given, so the scores mean nothing"
    if images < len(dataset):
        yield f"only the first {images} of {len(dataset)} pictures, which come class by class in a folder of folders"
    names, classes = getattr(dataset, "classes", ()), classifier.network.num_outputs
    if names and len(names) < classes:
        yield (
            f"the data set has {len(names)} classes and the network {classes}: its first {len(names)} outputs are "
            "taken for them"
        )
    if row is not None:
        yield f"the paper's row is 100 minus the errors of {row[1]}, on all 50,000 validation pictures"


def _batches(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    samples = iter(samples)
    while batch := list(islice(samples, size)):
        yield batch

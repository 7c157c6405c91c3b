"""mIoU and its relatives on a data set, beside the paper's."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..evaluation import Evaluation, Progress, differences, usual_notes
from ..stages import Stages
from .cityscapes_metrics import InstanceCounts
from .classes import CITYSCAPES
from .dataset import LabelledPictures, Sample
from .estimator import Segmenter
from .metrics import Confusion
from .paper import PaperRow, paper_row
from .protocol import PROTOCOLS
from .results import Segmentation
from .save import save_labels


def evaluate(
    estimator: Segmenter,
    dataset: LabelledPictures,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
    results: str | os.PathLike[str] | None = None,
    server: bool = False,
    per_class: bool = False,
) -> Evaluation:
    """mIoU, pixel and mean accuracy in per cent; for Cityscapes category IoU and both iIoU too.

    Only counts are kept, so memory does not grow with the data set.
    limit: only the first so many pictures. progress: is told after each picture that one more is done.
    results: a folder for the labels, <key>.png each; a picture whose file is there already is computed again.
    server: write label ids as the server of Cityscapes takes them (see `save_labels`).
    per_class: also "IoU <name>" of every class that occurs.
    A split without annotations has no metrics: its labels go to `results`, to be handed in.
    iIoU needs the instanceIds images; where they are missing it is left out, and a note says so.
    Errors: ValueError for an empty data set, for one without annotations if `results` is not given, for classes
    that are not the network's and for annotations that do not fit; those of `read_image`.
    """
    if estimator.classes.names != dataset.classes.names:
        raise ValueError(
            f"{dataset.name} has the classes of {dataset.classes.name}, but {estimator.network.name} answers with "
            f"those of {estimator.classes.name}"
        )
    stages = stages if stages is not None else Stages(estimator.network.device)
    tally, images = _Tally(dataset), 0
    for sample in islice(dataset, limit):
        if sample.truth is None and results is None:
            raise ValueError(f"{dataset} has no annotations to score with: give `results`, a folder for its labels")
        result = estimator(sample.image, stages=stages)
        with stages("score"):
            tally.add(sample, result)
        if results is not None:
            with stages("save"):
                save_labels(result, Path(results) / f"{sample.key}.png", server=server)
        images += 1
        if progress is not None:
            progress(1)
    if not images:
        raise ValueError(f"{dataset} is empty: there is nothing to evaluate")
    row = paper_row(estimator.network.official_name, dataset.split)
    return Evaluation(
        task="segmentation",
        dataset=f"{dataset.name} {dataset.split}",
        model=estimator.network.name,
        images=images,
        metrics=tally.metrics(per_class),
        paper=row.metrics if row else None,
        seconds=stages.seconds,
        notes=(*_notes(estimator, dataset, images, row), *tally.notes()),
    )


class _Tally:
    """What is counted over the pictures of a data set."""

    def __init__(self, dataset: LabelledPictures) -> None:
        self.dataset, self.confusion = dataset, Confusion(len(dataset.classes))
        self.is_cityscapes = dataset.classes.name == CITYSCAPES.name
        self.instances = InstanceCounts()
        self.scored = self.without_instances = 0

    def add(self, sample: Sample, result: Segmentation) -> None:
        if sample.truth is None:
            return
        self.scored += 1
        truth = sample.truth().to(result.labels.device)
        if truth.shape != result.labels.shape:
            raise ValueError(
                f"{sample.image} is {tuple(result.labels.shape)}, but its annotation {tuple(truth.shape)} "
                "(height, width): they do not belong together"
            )
        self.confusion.add(result.labels, truth)
        if not self.is_cityscapes:
            return
        try:
            instances = None if sample.instances is None else sample.instances()
        except FileNotFoundError:
            instances = None
        if instances is None:
            self.without_instances += 1
        else:
            self.instances.add(result.labels, instances.to(truth.device))

    def metrics(self, per_class: bool) -> dict[str, float]:
        if not self.scored:
            return {}
        scores = self.confusion.scores()
        metrics = {
            "mIoU": 100 * scores.mean_iou,
            "pixel acc": 100 * scores.pixel_accuracy,
            "mean acc": 100 * scores.mean_accuracy,
        }
        if self.is_cityscapes:
            more = self.instances.scores(self.confusion.counts)
            metrics["IoU cat"] = 100 * more.category_iou
            if not self.without_instances:
                metrics |= {"iIoU": 100 * more.instance_iou, "iIoU cat": 100 * more.category_instance_iou}
        if per_class:
            metrics |= {f"IoU {name}": 100 * iou for name, iou in zip(self.dataset.classes.names, scores.iou.tolist())}
        return {name: value for name, value in metrics.items() if not math.isnan(value)}

    def notes(self) -> Iterator[str]:
        if not self.scored:
            yield f"{self.dataset.split} has no public annotations: hand the labels in, written with `server`"
            return
        if self.without_instances:
            yield f"{self.without_instances} pictures have no instanceIds image, so iIoU is left out"
        absent = int(self.confusion.scores().iou.isnan().sum())
        if absent:
            total = len(self.dataset.classes)
            yield f"{absent} of {total} classes neither occur nor were predicted: the means leave them out"


def _notes(estimator: Segmenter, dataset: LabelledPictures, images: int, row: PaperRow | None) -> Iterator[str]:
    yield from usual_notes(estimator.network.random_weights, images, len(dataset))
    if estimator.protocol != PROTOCOLS.get(dataset.classes.name):
        yield "the pictures were not scaled as the official test scales them"
    if row is None:
        return
    yield from differences(estimator, {"combine": "exp"})
    ours = _views(estimator.scales, estimator.flip_test)
    theirs = _views(row.scales, row.flip)
    yield f"the paper's row ({row.source}) is {theirs}" + ("" if ours == theirs else f"; this one is {ours}")


def _views(scales: tuple[float, ...], flip: bool) -> str:
    one = len(scales) == 1
    return f"at scale{'' if one else 's'} {', '.join(f'{s:g}' for s in scales)}, {'with' if flip else 'without'} flip"

"""What evaluations of people and of objects share, before their first picture and after the last."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from .coco_scores import check_target, write_results
from .evaluation import Evaluation, usual_notes
from .network import Network
from .stages import Stages


class DataSet(Protocol):
    """unannotated: what is said where no picture has annotations. has_server: whether results are a file for COCO's."""

    @property
    def name(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def samples(self) -> str: ...
    @property
    def unannotated(self) -> str: ...
    @property
    def has_server(self) -> bool: ...
    @property
    def has_annotations(self) -> bool: ...
    @property
    def notes(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...


class Scorer(Protocol):
    """One whose data set has a server has `results()` too."""

    def result(self) -> dict[str, float]: ...


def check_results(dataset: DataSet, results: str | os.PathLike[str] | None) -> None:
    """Errors, before the first picture, for `results` that cannot be, and for none where there is nothing else."""
    if results is None:
        if not dataset.has_annotations:
            raise ValueError(
                f"{dataset.name} {dataset.split} has no annotations to score with: give `results`, a file for COCO's "
                "server"
            )
    elif not dataset.has_server:
        raise ValueError(f"results are a file for COCO's server; {dataset.name} has none")
    else:
        check_target(results)


def scored(
    task: str, network: Network, dataset: DataSet, scorer: Scorer, images: int, stages: Stages,
    paper: dict[str, float] | None, notes: Iterable[str], results: str | os.PathLike[str] | None,
) -> Evaluation:  # fmt: skip
    """What `evaluate` gives once the scorer has all images. notes: on how the network was used."""
    if not images:
        raise ValueError(f"{dataset.name} {dataset.split} is empty: there is nothing to evaluate")
    with stages("score"):
        metrics = scorer.result()
    more = list(dataset.notes)
    if dataset.has_annotations and not metrics:
        more.append(f"{dataset.unannotated} in these pictures, so there are no scores")
    failed = _written(results, scorer, metrics)
    usual = usual_notes(network.random_weights, images, len(dataset), dataset.samples)
    return Evaluation(
        task=task,
        dataset=f"{dataset.name} {dataset.split}",
        model=network.name,
        images=images,
        metrics=metrics,
        paper=paper,
        seconds=stages.seconds,
        notes=(*usual, *notes, *more, *filter(None, [failed])),
        sample="person" if dataset.samples == "people" else "image",
        written=not failed,
    )


def _written(path: str | os.PathLike[str] | None, scorer: Any, metrics: dict[str, float]) -> str:
    """Writes a scorer's `results()`, if they are asked for: "", or a note of why they were not, beside scores of hours.

    Errors: OSError where there are no scores.
    """
    if path is None:
        return ""
    try:
        write_results(path, scorer.results())
    except OSError as error:  # a full disk
        if not metrics:
            raise
        return f"the results were not written: {error}"
    return ""

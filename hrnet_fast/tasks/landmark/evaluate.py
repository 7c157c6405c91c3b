"""NME, failure rates and AUC on a data set, beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch

from ..evaluation import Evaluation, Progress, batches, differences, usual_notes
from ..images import Stored
from ..stages import Stages
from .estimator import LandmarkEstimator
from .metrics import FaceError, LandmarkScores, whole_pixels
from .paper import SOURCE, paper_row
from .protocol import PROTOCOLS
from .samples import FaceDataset


def evaluate(
    estimator: LandmarkEstimator,
    dataset: FaceDataset,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
) -> Evaluation:
    """NME, failure rates and AUC (up to 0.08 and 0.1) in per cent, and the NME of each subset.

    "NME whole pixels" is that of the points cut to whole pixels, as the official evaluation cuts them (`whole_pixels`).

    dataset: what the readers give; each face is cut out by the annotation's box, as in the papers' tables.
    limit: only the first so many faces. progress: is told after each batch (`estimator.batch_size`
        faces) how many it had.
    Memory does not grow with the data set.
    Errors: ValueError for an empty data set, one of other points, and a face that cannot be scored; those of
        `read_image`.
    """
    network = estimator.network
    if dataset.points != network.num_outputs:
        raise ValueError(
            f"{dataset} has {dataset.points} points a face, but {network.name} finds {network.num_outputs}"
        )
    stages = stages if stages is not None else Stages(network.device)
    scores, cut = LandmarkScores(), LandmarkScores()
    for samples in batches(islice(dataset, limit), estimator.batch_size):
        found = estimator.batch([Stored(s.image) for s in samples], [[s.box] for s in samples], stages=stages)
        with stages("score"):
            points = torch.stack([faces[0].points for faces in found])
            truth = torch.stack([s.points for s in samples])
            sides = None if samples[0].side is None else torch.tensor([s.side for s in samples], dtype=torch.float64)
            try:
                scores.add(points, truth, sides, [s.subsets for s in samples])
            except FaceError as error:
                raise ValueError(f"{samples[error.index].key} {error.why}") from None
            cut.add(whole_pixels(points), truth, sides)
        if progress is not None:
            progress(len(samples))
    if not scores.faces:
        raise ValueError(f"{dataset} is empty: there is nothing to evaluate")
    row = paper_row(network.official_name, dataset.name, dataset.split)
    return Evaluation(
        task="landmark",
        dataset=f"{dataset.name} {dataset.split}",
        model=network.name,
        images=scores.faces,
        metrics={**scores.result(), "NME whole pixels": cut.result()["NME"]},
        paper=row,
        seconds=stages.seconds,
        notes=tuple(_notes(estimator, dataset, scores.faces, row is not None)),
        sample="face",
    )


def _notes(estimator: LandmarkEstimator, dataset: FaceDataset, faces: int, paper: bool) -> Iterator[str]:
    yield from usual_notes(estimator.network.random_weights, faces, len(dataset), "faces")
    if paper:
        yield (
            f"the paper's row is that of {SOURCE}; the official evaluation cuts points to whole pixels, so its NME is "
            "to be held against `NME whole pixels`"
        )
        yield from differences(estimator, {"protocol": PROTOCOLS["official"], "flip_test": False})

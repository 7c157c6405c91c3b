"""Normalised mean error, failure rate and area under the curve, whole and by subset, as they stream by.

Source: compute_nme in lib/core/evaluation.py and inference in lib/core/function.py of HRNet-Facial-Landmark-Detection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from .schemes import scheme_of

THRESHOLDS = (0.08, 0.10)  # failure_008, failure_010; the paper's AUC is up to the same two


class FaceError(ValueError):
    """A face cannot be scored. index: which one of those that were given. why: a sentence without its subject."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(f"face {index} {why}")
        self.index, self.why = index, why


def normalisers(
    truth: Tensor,  # (N, L, 2) in pixels
    sides: Tensor | None = None,  # (N,) sides of the faces' boxes in pixels, needed for AFLW
) -> Tensor:  # (N,) float64
    """What errors are divided by: the distance of the eyes' outer corners in the annotation (WFLW, 300W, COFW), or the
    side of the face's box (AFLW).

    Errors: ValueError for an unknown number of points and for AFLW without sides; FaceError for a face whose normaliser
    is not above 0.
    """
    eyes = scheme_of(truth.shape[1]).eyes
    if eyes is not None:
        lengths = (truth[:, eyes[0]].double() - truth[:, eyes[1]].double()).norm(dim=1)
    elif sides is None:
        raise ValueError("AFLW's errors are divided by the side of each face's box (box_size), which is missing")
    else:
        lengths = torch.as_tensor(sides, dtype=torch.float64)
    if bad := [index for index, length in enumerate(lengths.tolist()) if not length > 0]:
        raise FaceError(bad[0], f"cannot be scored: its error would be divided by {lengths[bad[0]]:g} pixels")
    return lengths


def point_errors(
    points: Tensor,  # (N, L, 2) in pixels
    truth: Tensor,  # (N, L, 2)
) -> Tensor:  # (N, L) float64, in pixels
    """Distances. ValueError for shapes that differ; FaceError for points that are not finite."""
    if points.shape != truth.shape:
        raise ValueError(f"points {tuple(points.shape)} cannot be compared with an annotation {tuple(truth.shape)}")
    for name, values in (("predicted", points), ("annotated", truth)):
        if bad := values.isfinite().flatten(1).all(1).logical_not().nonzero().flatten().tolist():
            raise FaceError(bad[0], f"has a point that is not finite among the {name}")
    return (points.double() - truth.double()).norm(dim=2)


def nme(points: Tensor, truth: Tensor, sides: Tensor | None = None) -> Tensor:
    """The normalised mean error of each face, (N,) float64: a share, 0.046 for the papers' 4.60."""
    return point_errors(points, truth).mean(1) / normalisers(truth, sides)


def failures(errors: Tensor, threshold: float) -> Tensor:
    """1 for each face whose normalised error is above the threshold, else 0, (N,) float64: their mean is the rate."""
    return (errors > threshold).double()


def areas(errors: Tensor, threshold: float) -> Tensor:
    """What each face adds, (N,) float64: their mean is the area under the cumulative distribution of the errors from 0
    to the threshold, divided by the threshold.

    Exact, not by sampling: the distribution of N errors is a stair, under which the error e leaves max(0, 1 - e / t).
    The definition of the 300W challenge (300 Faces In-The-Wild Challenge, Sagonas et al., 2016) and of its tables.
    """
    return (1 - errors.double() / threshold).clamp(min=0)


def whole_pixels(points: Tensor) -> Tensor:
    """transform_pixel in lib/utils/transforms.py: the official evaluation cuts the points that it finds to whole pixels
    (towards zero) and adds 1, which moves them by half a pixel on average."""
    return points.trunc() + 1


class LandmarkScores:
    """NME, failure rates and AUC in per cent, for all faces and for each subset; holds sums only."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    @property
    def faces(self) -> int:
        return int(self._sums[""][0]) if self._sums else 0

    def add(
        self,
        points: Tensor,  # (N, L, 2) in pixels
        truth: Tensor,  # (N, L, 2)
        sides: Tensor | None = None,  # (N,), for AFLW
        subsets: Sequence[Iterable[str]] | None = None,  # of each face
    ) -> None:
        """Errors: as `nme`."""
        errors = nme(points, truth, sides)
        failed = [failures(errors, threshold) for threshold in THRESHOLDS]
        under = [areas(errors, threshold) for threshold in THRESHOLDS]
        rows = torch.stack((torch.ones_like(errors), errors, *failed, *under), 1)
        for row, names in zip(rows, subsets or [()] * len(rows)):
            for name in ("", *names):
                self._sums[name] = self._sums.get(name, 0) + row

    def result(self) -> dict[str, float]:
        """ "NME", "FR0.08", "FR0.1", "AUC0.08", "AUC0.1", then "NME <subset>", all in per cent; ValueError if empty."""
        if not self.faces:
            raise ValueError("no face was evaluated, so there is no error")
        means = {name: (100 * total[1:] / total[0]).tolist() for name, total in self._sums.items()}
        names = ["NME", *(f"FR{t:g}" for t in THRESHOLDS), *(f"AUC{t:g}" for t in THRESHOLDS)]
        whole = dict(zip(names, means.pop("")))
        return {**whole, **{f"NME {name}": values[0] for name, values in sorted(means.items())}}

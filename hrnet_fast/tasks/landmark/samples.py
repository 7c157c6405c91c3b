"""What the readers of landmark data sets give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..images import Source


@dataclass(frozen=True, eq=False)
class FaceSample:
    """One annotated face.

    image: whatever `read_image` takes, a path for all data sets but COFW. points: (L, 2) float64 x, y in pixels of it.
    box: x, y, width, height in pixels: the official list's, or the whole pixels around the points, which are the same.
    side: what AFLW's errors are divided by, in pixels; None for the others. subsets: that the face belongs to.
    key: names the face, for messages.
    """

    image: Source
    points: Tensor
    box: tuple[float, float, float, float]
    side: float | None
    subsets: tuple[str, ...]
    key: str


class Faces(Protocol):
    """Faces in order; a list, or what reads them one after another."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[FaceSample]: ...


class FaceDataset:
    """Faces in the order of the annotation: `len(dataset)`, `for sample in dataset`.

    name: of the data set. split: of it. points: landmarks of a face.
    """

    def __init__(self, name: str, split: str, points: int, samples: Faces, where: Path) -> None:
        if not samples:
            raise ValueError(f"{where} has no faces")
        self.name, self.split, self.points, self.where = name, split, points, where
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[FaceSample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"{self.name} {self.split} ({self.where}: {len(self)} faces)"


def as_points(values: Sequence[float], count: int, where: str) -> Tensor:  # (count, 2) float64
    """x0, y0, x1, y1, ... as points. ValueError, naming the place, for another number of them and for NaN."""
    points = torch.tensor(values, dtype=torch.float64)
    if points.numel() != 2 * count:
        raise ValueError(f"{where} has {points.numel() / 2:g} points; {count} were expected")
    if not bool(points.isfinite().all()):
        raise ValueError(f"{where} has a point that is not a number")
    return points.view(count, 2)


def as_numbers(texts: Sequence[str], where: str) -> list[float]:
    """ValueError that names the place and the first text that is no number."""
    numbers = []
    for text in texts:
        try:
            numbers.append(float(text))
        except ValueError:
            raise ValueError(f"{where} holds {text!r} where a number should be") from None
    return numbers


def first_of(candidates: Sequence[Path], how: str) -> Path:
    """The first path that exists; FileNotFoundError with `how`, which says what to download and where to put it."""
    for path in candidates:
        if path.exists():
            return path
    raise FileNotFoundError(f"there is no {candidates[0]}: {how}")


def check_pictures(samples: Sequence[FaceSample], how: str) -> None:
    """Looks for the first picture only, as annotations without pictures are the usual mistake."""
    if samples and isinstance(samples[0].image, Path) and not samples[0].image.is_file():
        raise FileNotFoundError(f"there is no picture {samples[0].image}: {how}")

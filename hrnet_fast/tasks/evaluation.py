"""What an evaluation gives: the paper's row beside ours, and where the time went."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

WIDTH = 100
_PLURAL = {"image": "images", "person": "people", "face": "faces"}

Progress = Callable[[int], object]  # what `evaluate` tells, after each piece of work, how many images it had


def batches(samples: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` samples, the last one as long as what remains; no more than one is held."""
    samples = iter(samples)
    while batch := list(islice(samples, size)):
        yield batch


def usual_notes(random_weights: bool, images: int, total: int, what: str = "pictures") -> Iterator[str]:
    """What every evaluation says of itself if it is so."""
    if random_weights:
        yield "the weights are random, as none were given, so the scores mean nothing"
    if images < total:
        yield f"only the first {images} of {total} {what}"


def differences(used: Any, official: Mapping[str, Any]) -> Iterator[str]:
    """What of an estimator or a data set is not as in the paper's test. official: attribute -> its value there."""
    for name, value in official.items():
        if (ours := getattr(used, name)) != value:
            yield f"{name} is {ours}; in the paper's row it is {value}"


@dataclass(frozen=True)
class Evaluation:
    """A model on a data set; `print(evaluation)` is a table of at most 100 columns.

    task, dataset, model: names; dataset says the split too. images: how many were read, or of the data sets that list
    these, people or faces. sample: which of them, "image", "person" or "face".
    metrics: metric -> value in the unit that the papers print (percent, NME in percent of the normaliser).
    paper: the paper's row for this model and data set, metric -> value in the same unit; None if there is none.
    seconds: stage -> seconds over all images. notes: sentences on what a reader must know to trust the row.
    written: false if results were asked for and could not be written, as a note says.
    """

    task: str
    dataset: str
    model: str
    images: int
    metrics: dict[str, float]
    paper: dict[str, float] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sample: str = "image"
    written: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        samples = self.sample if self.images == 1 else _PLURAL[self.sample]
        lines = textwrap.wrap(f"{self.model} on {self.dataset}: {self.images} {samples}", WIDTH)
        lines += ["", *_scores(self.metrics, self.paper or {})]
        if self.seconds:
            lines += ["", *stage_table(self.seconds, self.images, self.sample)]
        for note in self.notes:
            lines += textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="      ")
        return "\n".join(lines)


def _scores(metrics: Mapping[str, float], paper: Mapping[str, float]) -> list[str]:
    """Three rows (name, paper, ours), broken where a line is full; metrics of the paper that were not measured too."""
    names = [*metrics, *(name for name in paper if name not in metrics)]
    blocks: list[list[tuple[str, int]]] = [[]]
    used = WIDTH
    for name in names:
        width = max(8, len(name) + 2)
        if used + width > WIDTH:
            blocks.append([])
            used = len("paper")
        used += width
        blocks[-1].append((name, width))
    lines = []
    for block in filter(None, blocks):
        lines.append(_row("", [(name, width) for name, width in block]))
        if paper:
            lines.append(_row("paper", [(_number(paper.get(name)), width) for name, width in block]))
        lines.append(_row("ours", [(_number(metrics.get(name)), width) for name, width in block]))
    return lines


def stage_table(seconds: Mapping[str, float], images: int, sample: str = "image") -> list[str]:
    """Lines of a table: milliseconds an image and share of each stage. seconds: stage -> seconds over all images."""
    total = sum(seconds.values())
    lines = [f"{'stage':<16}{f'ms/{sample}':>10}{'share':>8}"]
    for name, spent in seconds.items():
        share = spent / total if total else 0.0
        lines.append(f"{name:<16}{1e3 * spent / max(images, 1):>10.2f}{share:>8.1%}")
    return [*lines, f"{'all':<16}{1e3 * total / max(images, 1):>10.2f}"]


def _row(title: str, cells: list[tuple[str, int]]) -> str:
    return (f"{title:<5}" + "".join(f"{text:>{width}}" for text, width in cells)).rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

"""How the time of an image depends on the batch and the size, to see a cliff if there is one; what `optimize` takes.

`python -m benchmarks.scaling --threads 2 --out benchmarks/results/scaling`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from benchmarks.arguments import parser_of
from benchmarks.cases import DTYPES
from benchmarks.progress import Progress
from benchmarks.scaling.measure import SERIES, Point, check, measure
from benchmarks.studies import run


def main(arguments: Sequence[str] | None = None) -> int:
    told = "The time of an image for batches of 1 to 64 and sizes up to 1024x2048, and what optimize takes."
    example = "--cases w32 --threads 2 --out benchmarks/results/scaling"
    parser = parser_of("scaling", told, example, seconds=2.0, of="a point")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only models whose name holds this")
    parser.add_argument("--most", type=float, default=float("inf"), metavar="MP", help="no call of more megapixels")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    return int(run("scaling", parser, arguments, _rows) is None)


def _rows(options: argparse.Namespace, progress: Progress) -> Iterator[Point]:
    chosen = [one for one in SERIES if options.cases in one.model]
    if not chosen:
        raise ValueError(f"no model holds {options.cases!r}: they are {', '.join(one.model for one in SERIES)}")
    points = {one.model: list(one.points(options.most)) for one in chosen}
    if not any(points.values()):
        raise ValueError(f"no point has {options.most:g} megapixels or less")
    for name, found in points.items():
        with progress.step(f"check {name}"):
            model, *errors = check(name, options.dtype)
        for point in found:
            _, batch, height, width = point
            with progress.step(f"batch {batch}, {height}x{width}"):
                row = measure(name, model, tuple(errors), options.dtype, point, options.seconds)
            yield row


if __name__ == "__main__":
    sys.exit(main())

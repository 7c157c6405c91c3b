"""python -m benchmarks.scaling: measures models over batches and sizes and prints them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from benchmarks.arguments import Record, add_run
from benchmarks.cases import DTYPES
from benchmarks.progress import Progress
from benchmarks.scaling.measure import SERIES, Point, check, measure
from benchmarks.scaling.picture import draw
from benchmarks.scaling.tables import terminal_table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        allow_abbrev=False,
        description="The time of an image for batches of 1 to 64 and sizes up to 1024x2048, and what optimize takes.",
        epilog="example: python -m benchmarks.scaling --cases w32 --threads 2 --out benchmarks/results/scaling",
    )
    parser.add_argument("--cases", default="", metavar="TEXT", help="only models whose name holds this")
    parser.add_argument("--along", choices=["batch", "size"], help="only over batches, or only over sizes")
    parser.add_argument("--most", type=float, default=float("inf"), metavar="MP", help="no call of more megapixels")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    add_run(parser, seconds=2.0, of="a point")
    options = parser.parse_args(arguments)
    chosen = [one for one in SERIES if options.cases in one.model]
    if not chosen:
        parser.error(f"no model holds {options.cases!r}: they are {', '.join(one.model for one in SERIES)}")
    torch.set_num_threads(options.threads)
    progress = Progress()
    try:
        record = Record(parser, arguments, "scaling", Point, options.out)
        for one in chosen:
            with progress.step(f"check {one.model}"):
                model, *errors = check(one.model, options.dtype)
            for point in one.points():
                along, batch, height, width = point
                if options.along not in (None, along) or batch * height * width / 1e6 > options.most:
                    continue
                with progress.step(f"batch {batch}, {height}x{width}"):
                    record.add(measure(one.model, model, tuple(errors), options.dtype, point, options.seconds))
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    if not record.sheet.rows:
        parser.error(f"no point has {options.most:g} megapixels or less")
    return record.finish(terminal_table, draw)


if __name__ == "__main__":
    sys.exit(main())

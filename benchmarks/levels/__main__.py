"""python -m benchmarks.levels: measures the levels of networks and prints them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from benchmarks.arguments import Record, add_run
from benchmarks.cases import DTYPES, make_cases, parse_size
from benchmarks.levels.measure import Network, measure
from benchmarks.levels.picture import draw
from benchmarks.levels.tables import terminal_table
from benchmarks.progress import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.levels",
        allow_abbrev=False,
        description="Times every level of a network on the CPU beside the floor of the kernels that play it.",
        epilog="example: python -m benchmarks.levels hrnet_w32.pose_coco_256x192 --threads 2",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or shell wildcards (hrnet-fast list)")
    parser.add_argument("--size", metavar="HxW", help="input size (default: the model's own)")
    parser.add_argument("--batch", type=int, default=1, metavar="N")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument("--exact", action="store_true", help="without Winograd")
    add_run(parser, seconds=6.0, of="a network")
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        size = parse_size(options.size) if options.size else None
        cases = make_cases("short", options.models, [options.batch], [options.dtype], size)
        torch.set_num_threads(options.threads)
        record = Record(parser, arguments, "levels", Network, options.out)
        for case in cases:
            with progress.step(str(case)):
                record.add(measure(case, options.exact, options.seconds))
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return record.finish(terminal_table, draw)


if __name__ == "__main__":
    sys.exit(main())

"""Where a forward spends its time on a CPU: each level beside the floor of the kernels that play it.

`python -m benchmarks.levels hrnet_w32.pose_coco_256x192 --threads 2 --out benchmarks/results/levels`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from benchmarks.arguments import parser_of
from benchmarks.cases import DTYPES, make_cases, parse_size
from benchmarks.levels.measure import Network, measure
from benchmarks.progress import Progress
from benchmarks.studies import run


def main(arguments: Sequence[str] | None = None) -> int:
    told = "Times every level of a network on the CPU beside the floor of the kernels that play it."
    parser = parser_of("levels", told, "hrnet_w32.pose_coco_256x192 --threads 2", seconds=6.0, of="a network")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or shell wildcards (hrnet-fast list)")
    parser.add_argument("--size", metavar="HxW", help="input size (default: the model's own)")
    parser.add_argument("--batch", type=int, default=1, metavar="N")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument("--exact", action="store_true", help="without Winograd")
    return int(run("levels", parser, arguments, _rows) is None)


def _rows(options: argparse.Namespace, progress: Progress) -> Iterator[Network]:
    size = parse_size(options.size) if options.size else None
    for case in make_cases("short", options.models, [options.batch], [options.dtype], size):
        with progress.step(str(case)):
            row = measure(case, options.exact, options.seconds)
        yield row


if __name__ == "__main__":
    sys.exit(main())

"""python -m benchmarks.requests: measures requests and prints them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import cv2
import torch

from benchmarks.arguments import Record, add_run
from benchmarks.machine import versions
from benchmarks.progress import Progress
from benchmarks.requests.check import Mismatch
from benchmarks.requests.measure import CASES, measure
from benchmarks.requests.row import Row
from benchmarks.requests.tables import terminal_table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests",
        allow_abbrev=False,
        description="Times whole requests, stage by stage, ours beside the same pipeline in plain torch.",
        epilog="example: python -m benchmarks.requests --threads 2 --out benchmarks/results/requests",
    )
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name holds this, e.g. pose")
    add_run(parser, seconds=20.0, of="a case")
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if options.cases in str(case)]
    if not cases:
        parser.error(f"no case holds {options.cases!r}: they are {'; '.join(map(str, CASES))}")
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    progress, every = Progress(), {**versions(), **_opencv()}
    try:
        record = Record(parser, arguments, "requests", Row, options.out, versions=every)
        for case in cases:
            with progress.bar(str(case)) as update:
                record.add(*measure(case, options.seconds, update))
    except Mismatch as error:
        print(f"{parser.prog}: {case}: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return record.finish(terminal_table)


def _opencv() -> dict[str, str]:
    for name in ("opencv-python-headless", "opencv-python"):
        try:
            return {"opencv": version(name)}
        except PackageNotFoundError:
            continue
    return {}


if __name__ == "__main__":
    sys.exit(main())

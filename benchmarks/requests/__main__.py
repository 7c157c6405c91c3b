"""Whole requests, stage by stage: the bytes of a JPEG to keypoints or to a label map, ours beside the same pipeline in
plain torch with OpenCV and NumPy, as the official repositories write it; and the decode of heatmaps alone.

`python -m benchmarks.requests --threads 2 --out benchmarks/results/requests`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

import cv2

from benchmarks.arguments import parser_of
from benchmarks.machine import versions
from benchmarks.progress import Progress
from benchmarks.requests.check import Mismatch
from benchmarks.requests.measure import CASES, measure
from benchmarks.requests.report import Row
from benchmarks.studies import run


def main(arguments: Sequence[str] | None = None) -> int:
    told = "Times whole requests, stage by stage, ours beside the same pipeline in plain torch."
    example = "--threads 2 --out benchmarks/results/requests"
    parser = parser_of("requests", told, example, seconds=20.0, of="a case")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name holds this, e.g. pose")
    return int(run("requests", parser, arguments, _rows, versions={**versions(), **_opencv()}) is None)


def _rows(options: argparse.Namespace, progress: Progress) -> Iterator[Row]:
    cases = [case for case in CASES if options.cases in str(case)]
    if not cases:
        raise ValueError(f"no case holds {options.cases!r}: they are {'; '.join(map(str, CASES))}")
    cv2.setNumThreads(options.threads)
    for case in cases:
        try:
            with progress.bar(str(case)) as update:
                rows = measure(case, options.seconds, update)
        except Mismatch as error:
            raise ValueError(f"{case}: {error}") from None
        yield from rows


def _opencv() -> dict[str, str]:
    for name in ("opencv-python-headless", "opencv-python"):
        try:
            return {"opencv": version(name)}
        except PackageNotFoundError:
            continue
    return {}


if __name__ == "__main__":
    sys.exit(main())

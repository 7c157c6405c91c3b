"""What a model takes in memory: each runner in a fresh process of its own.

`python -m benchmarks.memory --threads 2 --out benchmarks/results/memory`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import torch

from benchmarks.arguments import parser_of
from benchmarks.cases import cases_named, words_of
from benchmarks.compare import ask
from benchmarks.memory.measure import Row, measure
from benchmarks.progress import Progress
from benchmarks.runners import OURS, HrnetFast, choose_rivals
from benchmarks.studies import run


def main(arguments: Sequence[str] | None = None) -> int:
    told = "Peak memory of ours, OpenVINO and the plain module, each in a fresh process."
    parser = parser_of("memory", told, '--models "hrnet_w32.pose*" --batch 1,16 --threads 2')
    parser.add_argument("--models", metavar="NAME,...", help="shell wildcards (default: the models of the profile cpu)")
    parser.add_argument("--size", metavar="HxW", help="input size of every model (default: its own)")
    parser.add_argument("--batch", default="1", metavar="N,...", help="default: 1")
    parser.add_argument("--dtype", default="float32", metavar="DTYPE,...", help="default: float32")
    parser.add_argument("--rivals", default="plain,openvino", metavar="NAME,...", help="default: plain,openvino")
    sheet = run("memory", parser, arguments, _rows)
    return int(sheet is None or any(row.runner == OURS and row.status != "ok" for row in sheet.rows))


def _rows(options: argparse.Namespace, progress: Progress) -> Iterator[Row]:
    cases = cases_named("cpu", options.models, options.size, options.batch, options.dtype)
    rivals = choose_rivals(words_of(options.rivals), "cpu")
    for case in cases:
        progress.line(str(case))
        with progress.step("float64 answer"):
            question = ask(case, torch.device("cpu"))
        for runner in (HrnetFast(), *rivals):
            with progress.step(runner.name):
                row = measure(case, runner, question)
            yield row


if __name__ == "__main__":
    sys.exit(main())

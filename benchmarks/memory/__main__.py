"""python -m benchmarks.memory: measures what models take in memory and prints it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from benchmarks.arguments import Record, add_cases, add_run, cases_of
from benchmarks.cases import words_of
from benchmarks.compare import ask
from benchmarks.memory.measure import Row, measure
from benchmarks.memory.tables import terminal_table
from benchmarks.progress import Progress
from benchmarks.runners import HrnetFast, choose_rivals


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        allow_abbrev=False,
        description="Peak memory of ours, OpenVINO and the plain module, each in a fresh process.",
        epilog='example: python -m benchmarks.memory --models "hrnet_w32.pose*" --batch 1,16 --threads 2',
    )
    add_cases(parser)
    parser.add_argument("--rivals", default="plain,openvino", metavar="NAME,...", help="default: plain,openvino")
    add_run(parser)
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        cases, rivals = cases_of(options), choose_rivals(words_of(options.rivals), "cpu")
        torch.set_num_threads(options.threads)
        record = Record(parser, arguments, "memory", Row, options.out)
        for case in cases:
            progress.line(str(case))
            with progress.step("float64 answer"):
                question = ask(case, torch.device("cpu"))
            for runner in (HrnetFast(), *rivals):
                with progress.step(runner.name):
                    record.add(measure(case, runner, question))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    wrong = [row for row in record.sheet.rows if row.runner == HrnetFast.name and row.status != "ok"]
    done = record.finish(terminal_table)
    return 1 if wrong else done


if __name__ == "__main__":
    sys.exit(main())

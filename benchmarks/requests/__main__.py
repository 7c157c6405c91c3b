"""python -m benchmarks.requests: measures requests and prints them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.arguments import command_of
from benchmarks.machine import OtherWork, commit, describe_machine, versions
from benchmarks.progress import Progress
from benchmarks.requests.measure import CASES, measure
from benchmarks.requests.results import Run, write_run
from benchmarks.requests.tables import terminal_table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests",
        description="Times whole requests, stage by stage, ours beside the same pipeline in plain torch.",
        epilog="example: python -m benchmarks.requests --threads 2 --out benchmarks/results/requests",
    )
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name holds this, e.g. pose")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="timing of a case (default: 20)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: torch's)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the JSON there")
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if options.cases in str(case)]
    if not cases:
        parser.error(f"no case holds {options.cases!r}: they are {'; '.join(map(str, CASES))}")
    if options.threads:
        torch.set_num_threads(options.threads)
    run = measure_all(cases, options.seconds, command_of("python -m benchmarks.requests", arguments))
    print(terminal_table(run))
    if options.out:
        print(f"\nwrote {write_run(run, options.out)}")
    return 0


def measure_all(cases, seconds: float, command: str) -> Run:
    progress, rows, checks, loads = Progress(), [], [], []
    for case in cases:
        other = OtherWork()
        with progress.bar(str(case)) as update:
            check, found = measure(case, seconds, update)
        loads.append(other.cores())
        rows += found
        checks.append(check)
    known = [load for load in loads if load is not None]
    return Run(
        command, describe_machine(), {**versions(), **_opencv()}, commit(), torch.get_num_threads(),
        max(known) if known else None, tuple(checks), tuple(rows),
    )  # fmt: skip


def _opencv() -> dict[str, str]:
    for name in ("opencv-python-headless", "opencv-python"):
        try:
            return {"opencv": version(name)}
        except PackageNotFoundError:
            continue
    return {}


if __name__ == "__main__":
    sys.exit(main())

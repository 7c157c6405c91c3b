"""Prints the results of requests and writes them into the docs: `python -m benchmarks.requests.report [--write]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import SPEED
from benchmarks.requests.results import FOLDER, read_run
from benchmarks.requests.tables import BEGIN, END, markdown_block, terminal_table
from benchmarks.sources import ROOT
from benchmarks.tables import replace_block


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests.report",
        description="Prints the tables of requests, stage by stage.",
        epilog="example: python -m benchmarks.requests.report --write",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: those of benchmarks/results")
    parser.add_argument(
        "--write", nargs="?", type=Path, const=ROOT, metavar="FOLDER",
        help="write the block between the requests marks of docs/speed.md in this folder (default: the checkout)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        runs = [read_run(path) for path in options.files or sorted(FOLDER.glob("*.json"))]
        if not runs:
            raise ValueError(f"there are no results: make some with `python -m benchmarks.requests --out {FOLDER}`")
        print("\n\n".join(map(terminal_table, runs)))
        if options.write is not None:
            path = options.write / SPEED
            path.write_text(replace_block(path.read_text(), markdown_block(runs), BEGIN, END))
            print(f"wrote the table of requests of {path}")
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

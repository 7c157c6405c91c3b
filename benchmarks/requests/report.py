"""Prints the results of requests and writes the README's table: `python -m benchmarks.requests.report [--readme]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import README
from benchmarks.requests.results import FOLDER, read_run
from benchmarks.requests.tables import BEGIN, END, readme_block, terminal_table
from benchmarks.tables import replace_block


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests.report",
        description="Prints the tables of requests, stage by stage.",
        epilog="example: python -m benchmarks.requests.report --readme",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: those of benchmarks/results")
    parser.add_argument(
        "--readme", nargs="?", type=Path, const=README, metavar="PATH",
        help="write the block between the requests marks of this file (default README.md)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        runs = [read_run(path) for path in options.files or sorted(FOLDER.glob("*.json"))]
        if not runs:
            raise ValueError(f"there are no results: make some with `python -m benchmarks.requests --out {FOLDER}`")
        print("\n\n".join(map(terminal_table, runs)))
        if options.readme is not None:
            options.readme.write_text(replace_block(options.readme.read_text(), readme_block(runs), BEGIN, END))
            print(f"wrote the table of requests of {options.readme}")
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

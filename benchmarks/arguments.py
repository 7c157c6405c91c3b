"""What the commands of the CPU engine's sheets share: their options, and what they leave behind."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import usable_cores
from benchmarks.sheet import Sheet, write_sheet


def add_run(parser: argparse.ArgumentParser, seconds: float, of: str) -> None:
    """--seconds, --threads and --out."""
    parser.add_argument(
        "--seconds", type=_positive(float), default=seconds, metavar="S", help=f"timing of {of} (default: {seconds:g})"
    )
    parser.add_argument(
        "--threads", type=_positive(int), default=usable_cores(), metavar="N", help="CPU threads (default: all cores)"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the JSON and the picture there")


def finish(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, sheet: Sheet, out: Path | None,
    table: Callable[[Sheet], str], draw: Callable[[Sheet, Path], Path] | None = None,
) -> int:  # fmt: skip
    """Prints the table, writes the sheet and draws all that its file then holds; the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    sheet = replace(sheet, command=" ".join([parser.prog, *given]))
    print(table(sheet))
    if out is None:
        return 0
    try:
        path, kept = write_sheet(sheet, out)
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(f"\nwrote {path}" + (f" and {draw(kept, path.with_suffix('.png'))}" if draw else ""))
    return 0


def _positive(kind: type) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
        return value

    return parse

"""What the commands of the CPU engine's sheets share: their options, and what they leave behind."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from benchmarks import isa
from benchmarks.cases import Case, make_cases, parse_size, words_of
from benchmarks.machine import usual_threads
from benchmarks.results import MOVE
from benchmarks.sheet import Sheet, sheet_before, write_sheet


def add_cases(parser: argparse.ArgumentParser) -> None:
    """--models, --size, --batch and --dtype."""
    parser.add_argument("--models", metavar="NAME,...", help="shell wildcards (default: the models of the profile cpu)")
    parser.add_argument("--size", metavar="HxW", help="input size of every model (default: its own)")
    parser.add_argument("--batch", default="1", metavar="N,...", help="default: 1")
    parser.add_argument("--dtype", default="float32", metavar="DTYPE,...", help="default: float32")


def cases_of(options: argparse.Namespace) -> list[Case]:
    """Errors: ValueError that names the option's value and what can be chosen."""
    try:
        batches = [int(word) for word in words_of(options.batch)]
    except ValueError:
        raise ValueError(f"--batch takes whole numbers from 1, not {options.batch!r}") from None
    size = parse_size(options.size) if options.size else None
    return make_cases("cpu", words_of(options.models), batches, words_of(options.dtype), size)


def add_run(parser: argparse.ArgumentParser, seconds: float | None = None, of: str = "") -> None:
    """--threads and --out; with a default, --seconds, spent on timing something."""
    if seconds is not None:
        told = f"timing of {of} (default: {seconds:g})"
        parser.add_argument("--seconds", type=positive(float), default=seconds, metavar="S", help=told)
    parser.add_argument(
        "--threads",
        type=positive(int),
        default=usual_threads(),
        metavar="N",
        help="CPU threads (default: torch's)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="add the numbers to the JSON there")


class Record:
    """The rows of a command, written as they are measured, so that what ends it early loses none.

    row: their type. out: None to write nothing. values: of the sheet.
    Errors, before anything is measured: ValueError if the file that is there may not take them, OSError for the folder.
    """

    def __init__(
        self, parser: argparse.ArgumentParser, arguments: Sequence[str] | None, kind: str, row: type, out: Path | None,
        **values,
    ):  # fmt: skip
        self.sheet = self._kept = Sheet(kind, command_of(parser.prog, arguments), **values)
        self._out = out
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            try:
                sheet_before(self.sheet, out, row)
            except ValueError as error:
                raise ValueError(f"{error}; {MOVE}") from None

    def add(self, *rows: Any) -> None:
        """Errors: OSError or ValueError where the file cannot be written any more."""
        self.sheet = replace(self.sheet, rows=(*self.sheet.rows, *rows))
        if self._out is not None:
            _, self._kept = write_sheet(self.sheet, self._out)

    def finish(self, table: Callable[[Sheet], str], draw: Callable[[Sheet, Path], Path] | None = None) -> int:
        """Prints the table and draws all that the file holds; the exit status."""
        print(table(self.sheet))
        if self._out is not None:
            path = self._out / self.sheet.file_name
            print(f"\nwrote {path}" + (f" and {draw(self._kept, path.with_suffix('.png'))}" if draw else ""))
        return 0


def command_of(program: str, arguments: Sequence[str] | None) -> str:
    """What was asked, for whoever wants the same numbers: without the options that name a folder of one machine.

    arguments: None for those of this process.
    """
    told, is_folder = [], False
    for word in sys.argv[1:] if arguments is None else arguments:
        name = word.partition("=")[0]
        names_one = name in ("--out", "--mirror")
        if not (is_folder or names_one):
            told.append(word)
        is_folder = names_one and "=" not in word
    return isa.command(" ".join([program, shlex.join(told)]).rstrip())


def positive(kind: type) -> Callable[[str], float]:
    """The type of an option that takes finite numbers above 0."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
        return value

    return parse

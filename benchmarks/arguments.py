"""What the commands of the CPU engine's sheets share: their options, and what they leave behind."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from benchmarks import isa
from benchmarks.cases import Case, make_cases, parse_size, words_of
from benchmarks.machine import usual_threads
from benchmarks.sheet import Sheet, write_sheet


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


def finish(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, sheet: Sheet, out: Path | None,
    table: Callable[[Sheet], str], draw: Callable[[Sheet, Path], Path] | None = None,
) -> int:  # fmt: skip
    """Prints the table, writes the sheet and draws all that its file then holds; the exit status."""
    sheet = replace(sheet, command=command_of(parser.prog, arguments))
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


def command_of(program: str, arguments: Sequence[str] | None) -> str:
    """What was asked, for whoever wants the same numbers: without the options that name a folder of one machine.

    arguments: None for those of this process.
    """
    told, is_folder = [], False
    for word in sys.argv[1:] if arguments is None else arguments:
        name = word.partition("=")[0]
        names_one = len(name) > len("--m") and any(option.startswith(name) for option in ("--out", "--mirror"))
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

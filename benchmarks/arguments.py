"""What the commands of the CPU engine's studies share: their options, and what they leave behind."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path

import torch

from benchmarks import isa
from benchmarks.machine import usual_threads
from benchmarks.progress import Progress
from benchmarks.sheet import Record, Sheet
from benchmarks.studies import STUDIES

Rows = Callable[[argparse.Namespace, Progress], Iterator[object]]


def parser_of(kind: str, description: str, example: str, seconds: float | None = None, of: str = ""):
    """With --threads, --out and, if there is a default, --seconds, spent on timing something."""
    program = f"python -m benchmarks.{kind}"
    parser = argparse.ArgumentParser(
        prog=program, allow_abbrev=False, description=description, epilog=f"example: {program} {example}"
    )
    if seconds is not None:
        told = f"timing of {of} (default: {seconds:g})"
        parser.add_argument("--seconds", type=positive(float), default=seconds, metavar="S", help=told)
    threads, told = usual_threads(), "CPU threads (default: torch's)"
    parser.add_argument("--threads", type=positive(int), default=threads, metavar="N", help=told)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="add the numbers to the JSON there")
    return parser


def run(kind: str, parser: argparse.ArgumentParser, arguments: Sequence[str] | None, rows: Rows, **values):
    """Measures, writes, prints and draws the rows of a study; its sheet, or None after one sentence on what was wrong.

    rows: measures one after another. values: of the sheet.
    """
    options, study = parser.parse_args(arguments), STUDIES[kind]
    torch.set_num_threads(options.threads)
    try:
        record = Record(Sheet(kind, command_of(parser.prog, arguments), **values), study.row, options.out)
        for row in rows(options, Progress()):
            record.add(row)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return None
    print(study.table(record.sheet))
    if record.path is not None:
        drawn = f" and {study.draw(record.kept, record.path.with_suffix('.png'))}" if study.draw else ""
        print(f"\nwrote {record.path}{drawn}")
    return record.sheet


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

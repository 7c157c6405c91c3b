"""What the commands share: their options, and how what was asked is told."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

from benchmarks import isa
from benchmarks.machine import usual_threads


def parser_of(
    kind: str, description: str, example: str, seconds: float | None = None, of: str = ""
) -> argparse.ArgumentParser:
    """Of a study: with --threads, --out and, if there is a default, --seconds, spent on timing something."""
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

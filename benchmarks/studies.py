"""The studies of the CPU engine: requests, memory, scaling and levels; how one is run, and how the report shows it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import benchmarks.levels.report as levels
import benchmarks.memory.report as memory
import benchmarks.requests.report as requests
import benchmarks.scaling.report as scaling
from benchmarks.arguments import command_of
from benchmarks.progress import Progress
from benchmarks.results import RESULTS
from benchmarks.sheet import Record, Sheet, read_sheet
from benchmarks.text import shown_path


@dataclass(frozen=True)
class Study:
    """title, caption: of its section of docs/speed.md, above the sheets. row: what its sheets hold.
    table: for a terminal. markdown: for the section."""

    title: str
    caption: str
    row: type
    table: Callable[[Sheet], str]
    markdown: Callable[[Sheet], str]
    draw: Callable[[Sheet, Path], Path] | None = None


STUDIES = {
    "requests": Study("Requests", requests.WHAT, requests.Row, requests.terminal_table, requests.markdown),
    "memory": Study("Memory", memory.WHAT, memory.Row, memory.terminal_table, memory.markdown),
    "scaling": Study("Scaling", scaling.WHAT, scaling.Point, scaling.terminal_table, scaling.markdown, scaling.draw),
    "levels": Study("Levels", levels.WHAT, levels.Network, levels.terminal_table, levels.markdown, levels.draw),
}

Rows = Callable[[argparse.Namespace, Progress], Iterator[object]]


def run(
    kind: str, parser: argparse.ArgumentParser, arguments: Sequence[str] | None, rows: Rows, **values: object
) -> Sheet | None:
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


def files() -> list[Path]:
    """The sheets that the results hold, by kind."""
    return [path for kind in STUDIES for path in sorted((RESULTS / kind).glob("*.json"))]


def report(sheets: Mapping[Path, str], folder: Path) -> tuple[list[str], list[str]]:
    """A text for a terminal of each sheet, and the paragraphs of Markdown for a file in `folder`, a section a kind.

    sheets: file -> kind; what can be drawn is drawn beside its file.
    Errors: ValueError for a file that is not what it says; OSError from the system.
    """
    texts, paragraphs = [], []
    for kind, study in STUDIES.items():
        found = [_report(path, kind, study, folder) for path, of in sheets.items() if of == kind]
        if found:
            texts += [text for text, _ in found]
            paragraphs += [f"## {study.title}", study.caption, *(part for _, parts in found for part in parts)]
    return texts, paragraphs


def _report(path: Path, kind: str, study: Study, folder: Path) -> tuple[str, list[str]]:
    sheet = read_sheet(path, study.row)
    text, parts = study.table(sheet), [sheet.identity, study.markdown(sheet)]
    if study.draw is not None:
        plot = study.draw(sheet, path.resolve().with_suffix(".png"))
        text += f"\n\nplot: {shown_path(plot)}"
        parts.append(f"![{kind}]({os.path.relpath(plot, folder)})")
    return text, [*parts, f"Command of the newest rows:\n`{sheet.command}`"]

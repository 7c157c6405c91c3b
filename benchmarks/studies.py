"""The sheets of the CPU engine as the report takes them: scaling, memory and levels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import benchmarks.levels.tables as levels
import benchmarks.memory.tables as memory
import benchmarks.scaling.tables as scaling
from benchmarks.levels.measure import Network
from benchmarks.levels.picture import draw as draw_levels
from benchmarks.memory.measure import Row
from benchmarks.scaling.measure import Point
from benchmarks.scaling.picture import draw as draw_scaling
from benchmarks.sheet import Sheet, folder_of, read_sheet


@dataclass(frozen=True)
class Study:
    """row: what its sheets hold. table: for a terminal. markdown: for docs/speed.md, above the caption."""

    row: type
    table: Callable[[Sheet], str]
    markdown: Callable[[Sheet], str]
    caption: str
    draw: Callable[[Sheet, Path], Path] | None = None


STUDIES = {
    "memory": Study(Row, memory.terminal_table, memory.markdown, memory.WHAT),
    "scaling": Study(Point, scaling.terminal_table, scaling.markdown, scaling.WHAT, draw_scaling),
    "levels": Study(Network, levels.terminal_table, levels.markdown, levels.FLOORS, draw_levels),
}


def files() -> list[Path]:
    """The sheets that the results hold, by kind."""
    return [path for kind in STUDIES for path in sorted(folder_of(kind).glob("*.json"))]


def kind_of(path: Path) -> str | None:
    """Which kind of sheet the file says it is, if it is one."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    kind = data.get("kind") if isinstance(data, dict) else None
    return kind if isinstance(kind, str) and kind in STUDIES else None


def report(path: Path, kind: str, folder: Path) -> tuple[str, str]:
    """A sheet's text for a terminal and its Markdown for a file in `folder`; draws it beside its file.

    Errors: ValueError for a file that is not what it says; OSError from the system.
    """
    study = STUDIES[kind]
    sheet = read_sheet(path, study.row)
    text, parts = study.table(sheet), [study.markdown(sheet)]
    if study.draw is not None:
        plot = study.draw(sheet, path.resolve().with_suffix(".png"))
        text += f"\n\nplot: {min(str(plot), os.path.relpath(plot), key=len)}"
        parts.append(f"![{kind}]({os.path.relpath(plot, folder)})")
    caption = study.caption[0].upper() + study.caption[1:]
    return text, "\n\n".join([*parts, f"{sheet.identity} {caption} Command: `{sheet.command}`"])

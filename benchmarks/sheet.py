"""A JSON file of rows that are measured one by one: levels, memory, scaling and requests of the CPU engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import OtherWork, commit, describe_machine, slug, versions
from benchmarks.results import added_to, filled, read_json, write_json
from benchmarks.sources import our_code
from benchmarks.text import identity

_SHOWN = ("python", "hrnet_fast", "torch", "onnxruntime", "openvino", "opencv")


@dataclass(frozen=True)
class Made:
    """What a row was made from: commit, the fingerprint of our sources, cores that other programs kept busy."""

    commit: str
    code: str
    other_load: float | None


def made(other: OtherWork | None = None) -> Made:
    """other: since before the row was timed; None for what does not depend on what else runs."""
    load = other.cores() if other else None
    return Made(commit(), our_code(), None if load is None else round(load, 2))


@dataclass(frozen=True)
class Sheet:
    """kind: "levels", "memory", "scaling" or "requests", whose folder of the results it lies in; command: what was
    asked last; rows: dataclasses of one type, each with a `key` of its own and `made`."""

    kind: str
    command: str
    machine: dict[str, object] = field(default_factory=describe_machine)
    versions: dict[str, str] = field(default_factory=versions)
    threads: int = field(default_factory=torch.get_num_threads)
    rows: tuple[Any, ...] = ()

    @property
    def file_name(self) -> str:
        return f"{self.kind}-cpu-{slug(str(self.machine['cpu']))}-t{self.threads}.json"

    @property
    def identity(self) -> str:
        """Machine, threads, versions and commits in one sentence, with a warning if the machine was busy."""
        commits = list(dict.fromkeys(row.made.commit for row in self.rows))
        busiest = max((row.made.other_load or 0.0 for row in self.rows), default=0.0)
        return identity(self.machine, self.threads, self.versions, _SHOWN, commits, busiest)


def write_sheet(sheet: Sheet, folder: Path) -> tuple[Path, Sheet]:
    """Writes the file in one step, and returns what it then holds: rows that were there stay unless `sheet` has them.

    Errors: OSError if the folder is unwritable; ValueError if the file there is no such sheet, or one of another place.
    """
    path = folder / sheet.file_name
    if sheet.rows and (old := sheet_before(sheet, folder, type(sheet.rows[0]))):
        rows = {row.key: row for row in (*old.rows, *sheet.rows)}
        sheet = replace(sheet, rows=tuple(rows.values()))
    write_json(path, asdict(sheet))
    return path, sheet


def sheet_before(sheet: Sheet, folder: Path, kind: type) -> Sheet | None:
    """What the file of `sheet` holds already. kind: of its rows. Errors: ValueError if it may not take new ones."""
    place = ("machine", "versions", "threads")
    return added_to(folder / sheet.file_name, partial(read_sheet, kind=kind), sheet, place, untimed=("timm",))


class Record:
    """The rows of a command, written as they are measured, so that what ends it early loses none.

    sheet: has no rows yet. row: their type. folder: None to write nothing.
    Errors, before anything is measured: ValueError if the file that is there may not take them, OSError for the folder.
    """

    def __init__(self, sheet: Sheet, row: type, folder: Path | None) -> None:
        self.sheet = self.kept = sheet  # kept: what the file then holds
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            sheet_before(sheet, folder, row)

    @property
    def path(self) -> Path | None:
        return None if self._folder is None else self._folder / self.sheet.file_name

    def add(self, row: Any) -> None:
        """Errors: OSError or ValueError where the file cannot be written any more."""
        self.sheet = replace(self.sheet, rows=(*self.sheet.rows, row))
        if self._folder is not None:
            _, self.kept = write_sheet(self.sheet, self._folder)


def read_sheet(path: Path, kind: type) -> Sheet:
    """kind: of the rows. Errors: ValueError that names the file and what is wrong with it."""
    data = read_json(path, "python -m benchmarks.KIND --out FOLDER")
    try:
        rows = [filled(kind, {**row, "made": filled(Made, row["made"], "made")}, "a row") for row in data.pop("rows")]
        return filled(Sheet, {**data, "rows": tuple(rows)}, "the sheet")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a sheet of {kind.__name__} rows: {error!r}") from None

"""The report's file: rows that are written the moment they are there, and found again by the next run."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

from benchmarks.gpu.jobs import PARTS
from benchmarks.machine import slug
from benchmarks.results import read_json, write_json
from benchmarks.sources import our_code

KIND = "gpu-report"
BUILD = "build"  # the part of the row on the extension, which no job makes
_OF_OUR_CODE = (BUILD, *(name for name, part in PARTS.items() if part.ours))
_ORDER = (BUILD, *PARTS)
STATUSES = ("ok", "outside tolerance", "wrong", "failed", "not run", "timed out")
_IDENTITY = ("gpu", "torch", "dry_run")
_FIELDS = ("kind", "gpu", "torch", "dry_run", "device", "machine", "versions", "commit", "code", "command", "rows")

Row = dict[str, object]  # part, name, status, reason, and what was measured


class Store:
    """Rows by part and name, in a JSON file that is replaced as a whole after each row.

    about: gpu, torch, dry_run, device (name -> value), machine, versions, commit, code, command. mirror: a second
    folder that gets the file each time; what a file there has, and the folder's own lacks, is gone on with. Errors:
    ValueError that names the file, if it is not a report or one of something else.
    """

    def __init__(self, folder: Path, about: Mapping[str, object], mirror: Path | None = None):
        self.about = dict(about)
        self.path = folder / file_name(self.about)
        self.mirror = mirror
        self._lock = threading.Lock()
        self.rows: dict[tuple[str, str], Row] = {}
        for place in filter(None, (folder, mirror)):
            self._go_on_with(place / self.path.name)

    def _go_on_with(self, path: Path) -> None:
        data = read_report(path) if path.exists() else {"rows": [], **self.about}
        for key in _IDENTITY:
            if data[key] != self.about[key]:
                raise ValueError(f"{path} is of {key} {data[key]!r}, not {self.about[key]!r}: move it away")
        for row in data["rows"]:
            key = row["part"], row["name"]
            if key not in self.rows or (not self.done(*key) and _is_done(row)):
                self.rows[key] = row

    def done(self, part: str, name: str) -> bool:
        """Whether the row is there, the whole of it, and still true of the sources."""
        return (part, name) in self.rows and _is_done(self.rows[part, name])

    def gave_up(self, part: str, name: str) -> bool:
        """Whether the row was made from these sources, and took too long."""
        return self.done(part, name) and self.rows[part, name]["status"] == "timed out"

    def add(self, part: str, row: Mapping[str, object]) -> Row:
        """Keeps `row` (name, status and what was measured) and writes the file."""
        if row["status"] not in STATUSES:
            raise ValueError(f"status {row['status']!r} is not one of {', '.join(STATUSES)}")
        kept = {"part": part, **row}
        if part in _OF_OUR_CODE:
            kept["code"] = our_code()
        with self._lock:
            self.rows[part, str(row["name"])] = kept
            self.write()
        return kept

    def forget(self, part: str, name: str) -> None:
        """Lets the row be measured again; the file keeps it until then."""
        self.rows.pop((part, name), None)

    def data(self) -> dict[str, object]:
        rows = sorted(self.rows.values(), key=lambda row: _ORDER.index(row["part"]))
        return {"kind": KIND, **self.about, "rows": rows}

    def write(self) -> None:
        for folder in filter(None, (self.path.parent, self.mirror)):
            write_json(folder / self.path.name, self.data())


def _is_done(row: Row) -> bool:
    return not row.get("partial") and (row["part"] not in _OF_OUR_CODE or row.get("code") == our_code())


def file_name(about: Mapping[str, object]) -> str:
    """gpu-nvidia-h200-torch2.11.json"""
    version = re.match(r"\d+\.\d+", str(about["torch"]))[0]
    return f"gpu-{slug(str(about['gpu']))}-torch{version}.json"


def read_report(path: Path) -> dict:
    """Reads and checks a report. Errors: ValueError that names the file and what is wrong with it."""
    data = read_json(path, "make gpu-report")
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ValueError(f"{path} is not a report of `make gpu-report`")
    missing = [key for key in _FIELDS if key not in data]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    for number, row in enumerate(data["rows"]):
        lacks = [key for key in ("part", "name", "status") if key not in row]
        if lacks:
            raise ValueError(f"{path}, row {number} lacks {', '.join(lacks)}")
        if row["part"] not in _ORDER or row["status"] not in STATUSES:
            raise ValueError(f"{path}, row {number}: part {row['part']!r} or status {row['status']!r} is not known")
    return data

"""Results as JSON lines that a run adds to and the next run goes on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hrnet_fast.tasks.files import replacing

from .arguments import UsageError
from .output import to_json

RESULTS, ABOUT = "results.jsonl", "run.json"
_CONTENT = "the content of "


def contents(names: Iterable[object]) -> dict[str, str]:
    """What a run's `about` says of files, so that others of the same names are noticed; names of none are left out."""
    return {f"{_CONTENT}{name}": _digest(name) for name in map(str, names) if os.path.isfile(name)}


class Ledger:
    """`folder`/results.jsonl: one finished picture or video a line, with its "source".

    `done` maps the sources of the lines to the names of their files below `folder`, by kind. A last line that an
    interrupted run left unfinished is cut off by `locked`. `folder`/run.json says what made the results; a folder of
    another model or other options is refused, so that no file holds a mixture.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.path = folder, folder / RESULTS
        self._about = to_json(about) + "\n"
        self._size, self._whole = 0, 0  # bytes of results.jsonl, as it was read, and of its whole lines
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--out {folder} is a file, but must be a folder")
        self._check_about()
        self.done = {record["source"]: _files(record) for record in self._read()}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other runs out of it until the end, however that comes.

        Raises UsageError if another run is at work there, or was since this one looked; OSError if it cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _lock(self.folder):
            if self.path.exists():
                if self.path.stat().st_size != self._size:
                    raise UsageError(f"another run has just written to {self.folder}: run the same command again")
                os.truncate(self.path, self._whole)
            yield

    def add(self, record: dict[str, Any]) -> None:
        """Appends one line, whole or not at all. The first one makes the folder's run.json."""
        if not (self.folder / ABOUT).exists():
            with replacing(self.folder / ABOUT) as part:
                part.write_text(self._about, encoding="utf-8")
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(to_json(record) + "\n")
        except BaseException:
            if self.path.exists():
                os.truncate(self.path, size)
            raise
        self.done[record["source"]] = _files(record)

    def _read(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        end = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    record = json.loads(line)
                    record["source"]
                except (ValueError, TypeError, KeyError):
                    raise ValueError(f"{self.path}, line {number}, is not a result: remove the line") from None
                yield record
                end = file.tell()
            self._size, self._whole = file.seek(0, os.SEEK_END), end

    def _check_about(self) -> None:
        path = self.folder / ABOUT
        if not path.exists():
            if self.path.exists():
                raise UsageError(f"{self.path} is there without {path}: choose another --out")
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{path} is damaged: choose another --out, or remove the folder") from None
        now = json.loads(self._about)
        for name in before.keys() ^ now.keys():
            if name.startswith(_CONTENT):  # an older run.json does not say, and a file may have gone
                (before if name in before else now).pop(name)
        if before != now:
            name = next(key for key in {**now, **before} if before.get(key) != now.get(key))
            raise UsageError(
                f"{self.folder} holds results with {name} {before.get(name)!r}, not {now.get(name)!r}: "
                "choose another --out, or remove the folder"
            )


def _files(record: dict[str, Any]) -> dict[str, str]:
    return {kind: record[kind] for kind in ("picture", "labels", "results") if record.get(kind)}


def _digest(name: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    with open(name, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Holds the folder until the end of the block, or of the process. UsageError if somebody else holds it."""
    if find_spec("fcntl") is None:  # on Windows, which opens no folders either
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another run writes to {folder}: wait for its end, or choose another --out") from None
        except OSError:  # some file systems have no locks
            pass
        yield
    finally:
        os.close(handle)

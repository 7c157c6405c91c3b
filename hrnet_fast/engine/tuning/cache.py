"""What was measured on a machine, kept from run to run: a readable JSON file for each `MachineKey`.

    {"format": 1,
     "device": {"gpu": "NVIDIA H200", "capability": "9.0", "multiprocessors": 132, "torch": "...", ...},
     "tiles": {"<level signature>": {...}},
     "executors": {"<program key>": {...}}}

Files lie in $HRNET_FAST_CACHE, else $XDG_CACHE_HOME/hrnet_fast, else ~/.cache/hrnet_fast.
"""

from __future__ import annotations

import copy
import json
import os
import uuid
import warnings
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from ..locks import Lock
from .file_lock import file_lock
from .key import MachineKey

FORMAT = 1
Entries = dict[str, dict[str, dict[str, Any]]]  # kind -> signature -> entry


def cache_folder() -> Path | None:
    """Where this user's caches lie; None for a user without a home. A relative $XDG_CACHE_HOME does not count."""
    own, shared = os.environ.get("HRNET_FAST_CACHE"), Path(os.environ.get("XDG_CACHE_HOME", ""))
    with suppress(RuntimeError):
        if own:
            return Path(own).expanduser()
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "hrnet_fast"
    return None


@cache
def cache_of(folder: Path | None) -> TuningCache:
    """The cache of a folder that this process shares: its files are read once."""
    return TuningCache(folder)


class TuningCache:
    """Entries by machine key, kind (one of the key's, such as "tiles") and signature.

    path: the folder; None for the user's. Safe for several threads and processes: a write adds to what the file then
    holds, under a lock, and replaces the file at once. A file that cannot be read or written is told of in one warning
    and does not stop anything: entries then live in memory.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.folder = cache_folder() if path is None else Path(path)
        self._entries: dict[MachineKey, Entries] = {}
        self._warned: set[str] = set()
        self._lock = Lock()

    def get(self, key: MachineKey, kind: str, signature: str) -> dict[str, Any] | None:
        """The entry, as the caller's own copy, or None."""
        _check_kind(key, kind)
        with self._lock:
            return copy.deepcopy(self._known(key)[kind].get(signature))

    def put(self, key: MachineKey, kind: str, signature: str, entry: dict[str, Any]) -> None:
        """Keep an entry, in place of an older one. It must be a dict that comes back from JSON as it is."""
        _check_kind(key, kind)
        entry = _plain(entry)
        with self._lock:
            known = self._known(key)
            known[kind][signature] = entry
            if self.folder is None:
                self._warn("no folder", "there is no home folder for measured results: set HRNET_FAST_CACHE to one")
                return
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with file_lock(self.folder / f"{key.file_name}.lock"):
                    held = self._read(key, to_write=True)
                    for each in key.kinds:
                        known[each] = {**known[each], **held[each]}
                    known[kind][signature] = entry
                    _write(self.folder / key.file_name, key, known)
            except OSError as error:
                lost = f"measured results cannot be kept in {self.folder}: {_reason(error)}"
                self._warn("write", f"{lost}; they last as long as this process")

    def _known(self, key: MachineKey) -> Entries:
        if key not in self._entries:
            self._entries[key] = self._read(key)
        return self._entries[key]

    def _read(self, key: MachineKey, to_write: bool = False) -> Entries:
        """What the user's file holds.

        to_write: one that is not ours is renamed, so that a new one takes its place, and one that may be but cannot be
        read raises OSError, so that it stays.
        """
        if self.folder is None:
            return _nothing(key)
        path = self.folder / key.file_name
        try:
            found, entries = parse(path.read_bytes(), type(key))
            if found != key:
                raise ValueError("it belongs to another machine or other versions")
            return entries
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            if to_write:
                raise
            self._warn("read", f"measured results cannot be read from {path}: {_reason(error)}")
        except (ValueError, RecursionError) as error:
            self._warn("read", f"{path} is ignored, as it is no file of measured results: {error}")
            if to_write:
                path.replace(path.with_name(f"{path.name}.ignored"))
        return _nothing(key)

    def _warn(self, what: str, sentence: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(sentence, stacklevel=4)


def parse(data: bytes, key_type: type[MachineKey]) -> tuple[MachineKey, Entries]:
    """The key, one of a type, and the entries of a file. Raises ValueError, saying why, for anything else."""
    content = json.loads(data)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f'it has no "format": {FORMAT}')
    key = key_type.from_dict(content.get("device"))
    entries = {kind: content.get(kind, {}) for kind in key.kinds}
    for kind, each in entries.items():
        if not isinstance(each, dict) or not all(isinstance(entry, dict) for entry in each.values()):
            raise ValueError(f'its "{kind}" are not entries by signature')
    return key, entries


def _nothing(key: MachineKey) -> Entries:
    return {kind: {} for kind in key.kinds}


def _write(path: Path, key: MachineKey, entries: Entries) -> None:
    """The whole file at once: a reader meets the old one or the new one."""
    text = json.dumps({"format": FORMAT, "device": asdict(key), **entries}, indent=2)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _check_kind(key: MachineKey, kind: str) -> None:
    if kind not in key.kinds:
        raise ValueError(f"measured results are of the kinds {', '.join(key.kinds)}, not {kind!r}")


def _plain(entry: Any) -> dict[str, Any]:
    """A copy by way of JSON, which must not have changed it."""
    if not isinstance(entry, dict):
        raise TypeError(f"an entry is a dict, not {type(entry).__name__}")
    try:
        copied = json.loads(json.dumps(entry, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the entry {entry!r} cannot be written as JSON: {error}") from error
    if copied != entry:
        raise ValueError(
            f"the entry {entry!r} comes back from JSON as {copied!r}: use strings as keys, lists for tuples"
        )
    return copied


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

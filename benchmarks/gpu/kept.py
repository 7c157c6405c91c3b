"""What a machine leaves beside the report: logs, and for the next one tiles, outcomes of tests and kernels."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from benchmarks.sources import WORK

NAME = "gpu-report-kept.tar.gz"
MOST = 15 << 20  # bytes, since such places take files up to 16 MiB
_SMALL = ("tuning/*.json", "tests/*.jsonl")
_LOGS = ("tests/*.log", "tests/*.stacks", "build-*.log", "logs/*.log")  # to be read, not to be put back
_KERNELS = ("triton/*/*.json", "triton/*/*.cubin", "triton/*/*.so")  # what Triton loads; it also keeps what it read


def keep(folder: Path) -> str | None:
    """Writes the file, and says so; None if there is nothing to keep. Without Triton's kernels if they are large."""
    small = _pack((*_SMALL, *_LOGS))
    whole = _pack((*_SMALL, *_LOGS, *_KERNELS))
    if not whole:
        return None
    is_large = len(whole) > MOST
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(small if is_large else whole)
    left_out = f", without Triton's kernels, as they are {len(whole) >> 20} MiB" if is_large else ""
    return f"kept for another machine: {folder / NAME}{left_out}"


def restore(folders: Iterable[Path]) -> str | None:
    """Puts what such a file holds where this machine lacks it, and says so."""
    count, names = 0, []
    for path in (folder / NAME for folder in folders):
        if not path.exists():
            continue
        names.append(str(path))
        try:
            for name, data in _unpack(path):
                if not (WORK / name).exists():
                    (WORK / name).parent.mkdir(parents=True, exist_ok=True)
                    (WORK / name).write_bytes(data)
                    count += 1
        except (tarfile.TarError, EOFError, OSError) as error:
            return f"{path} is ignored, as it cannot be read: {error}"
    return f"{count} files of another machine from {' and '.join(names)}" if count else None


def _pack(patterns: Iterable[str]) -> bytes:
    """A compressed archive of the work folder's files that match; empty for none."""
    paths = [path for pattern in patterns for path in sorted(WORK.glob(pattern))]
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1) as archive:
        for path in paths:
            archive.add(path, path.relative_to(WORK).as_posix(), recursive=False)
    return held.getvalue() if paths else b""


def _unpack(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, contents) of what `_pack` would have put there, and of nothing else."""
    with tarfile.open(path) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            fits = any(name.match(pattern) for pattern in (*_SMALL, *_KERNELS))
            if member.isfile() and fits and ".." not in name.parts and not name.is_absolute():
                yield member.name, archive.extractfile(member).read()

"""Files that are written whole or not at all, and text files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, without a byte order mark. ValueError, naming the file, for other bytes."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error.reason} at byte {error.start}") from None


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path of a temporary file in the same folder, which takes `path`'s place when the block ends well.

    The folder is made if it is missing. After an error or an interrupt nothing of the temporary file remains, and what
    was at `path` before is untouched. An OSError of the temporary file, or of none, names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{_digest(path.name)}.part")  # of one length, as `path` may have the longest of names
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(part)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say of which file
    finally:
        part.unlink(missing_ok=True)


def _digest(name: str) -> str:
    return hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()

"""What tests make once for the same sources, in every process and run: kept in build/tests."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "tests"


def kept(name: str, *made_from: object) -> Path:
    """A folder of its own for what is made from these: bytes, or what prints the same where it is the same."""
    digest = hashlib.sha256()
    for one in made_from:
        data = one if isinstance(one, bytes) else repr(one).encode()
        digest.update(b"%d:" % len(data) + data)
    folder = FOLDER / f"{name}-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(path: Path, text: str) -> None:
    """In one step, whoever else does the same."""
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(text)
    os.replace(part, path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other process is in here with the same folder."""
    import fcntl  # not on Windows

    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

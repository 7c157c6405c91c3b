"""Matlab's files up to version 7.2, as SciPy reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .images import reason_of
from .optional import scipy_io


@contextmanager
def reading_mat(path: Path, what: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Yields the variables of a file. options: of scipy.io.loadmat.

    FileNotFoundError if it is missing; ValueError that it is not `what` if it cannot be read, and if what the block
    looks for in it is not there.
    """
    io = scipy_io()
    try:
        yield io.loadmat(str(path), **options)  # of a Path, it does not say that it is missing
    except FileNotFoundError:
        raise
    except Exception as error:  # SciPy raises many kinds for a damaged file
        raise ValueError(f"{path} is not {what}, or it is damaged: {reason_of(error)}") from None

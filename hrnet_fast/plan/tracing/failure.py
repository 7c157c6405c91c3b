"""Where in a network planning fails, and of what, for the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


def where(root: nn.Module, error: Exception) -> str:
    """Where an error comes from: the innermost module whose method was at work."""
    names = {id(module): name for name, module in root.named_modules()}
    found, trace = root, error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and id(module) in names:
            found = module
        trace = trace.tb_next
    name = names[id(found)]
    return f"{type(found).__name__}.forward" + (f" of {name!r}" if name else "")


def what(error: Exception) -> str:
    """An error's first line, without torch's signatures."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].removesuffix(".")
    line = line.partition(", but expected one of:")[0]
    return line


def copied_from_torch(error: Exception) -> dict[str, Any] | None:
    """The names of the file whose code raised an error, if that is a copy of torch's functions that hands calls over by
    a name that it lacks: it does so where `has_torch_function` is true, as while planning."""
    trace = error.__traceback__
    found: dict[str, Any] = {}
    while trace is not None:
        found = trace.tb_frame.f_globals
        trace = trace.tb_next
    hands_over = "handle_torch_function" in found and found.get("has_torch_function", _never) is not _never
    return found if isinstance(error, NameError) and hands_over else None


@contextmanager
def without_handing_over(names: dict[str, Any]) -> Iterator[None]:
    """Meanwhile the code of this file sees plain tensors, and computes itself."""
    own = names["has_torch_function"]
    names["has_torch_function"] = _never
    try:
        yield
    finally:
        names["has_torch_function"] = own


def _never(tensors: object) -> bool:
    return False

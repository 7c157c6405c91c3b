"""Where in a network planning fails, and of what, for the sentence that says so."""

from __future__ import annotations

from torch import nn


def where(root: nn.Module, error: Exception) -> str:
    """Where an error comes from: the innermost module whose method was at work."""
    names = {id(module): name for name, module in root.named_modules()}
    found, trace = root, error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_locals.get("self")
        found = module if id(module) in names else found
        trace = trace.tb_next
    name = names[id(found)]
    return f"{type(found).__name__}.forward" + (f" of {name!r}" if name else "")


def what(error: Exception) -> str:
    """An error's first line, and what to do about copies of torch's functions, which ask `has_torch_function`."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].removesuffix(".")
    line = line.partition(", but expected one of:")[0]  # and torch's signatures
    file = _globals(error)
    if isinstance(error, NameError) and "handle_torch_function" in file and "has_torch_function" in file:
        file_name = file.get("__name__", "its module")
        line += (
            f": {file_name} hands calls over by that name where has_torch_function is true, as while planning; "
            f"set {file_name}.has_torch_function = lambda _: False before"
        )
    return line


def _globals(error: Exception) -> dict:
    """Those of the code that raised an error."""
    trace, found = error.__traceback__, {}
    while trace is not None:
        trace, found = trace.tb_next, trace.tb_frame.f_globals
    return found

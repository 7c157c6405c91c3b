"""Triton kernels, one file an op: compiled for a GPU, or run by Triton's interpreter on a CPU."""

import importlib.util
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import triton

_LOADING = Lock()


def kernel(name: str, interpreted: bool) -> Any:
    """The jit function `<name>_kernel` of <name>.py, one for all threads; interpreted: a copy of it that runs in the
    interpreter."""
    with _LOADING:  # a knob belongs to the process, and what one copy of a function compiled another does not find
        return _load(name, interpreted)


@cache
def _load(name: str, interpreted: bool) -> Any:
    mode = "interpreted" if interpreted else "compiled"
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"{__name__}.{mode}_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = interpreted  # read by triton.jit while the file is executed
        spec.loader.exec_module(module)
    return getattr(module, f"{name}_kernel")

"""Whether Triton's interpreter can play the level kernel with the NumPy that is installed."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.level import ConvWork, Launch, MapTerm, Tile, pack_weight


@cache
def why_not() -> str | None:
    """One sentence on why it cannot, or None: Triton 3.6 turns arrays of one element into numbers, as NumPy 2.4 and
    newer do not."""
    if find_spec("triton") is None:
        return None  # what needs it says so itself
    import triton

    tile, one = Tile(16, 16), (1, 1)
    x, out = (BorderedMap.zeros((1, 16, 1, 1), torch.float16, "cpu") for _ in range(2))
    weight, bias = pack_weight(torch.zeros(16, 16, 1, 1, dtype=torch.float64), None, tile, torch.float16)
    try:
        Launch([ConvWork(out, (MapTerm(x),), weight, bias, one, one, (0, 0), tile)])()
    except triton.runtime.errors.InterpreterError as error:
        return f"the interpreter of Triton {triton.__version__} fails with NumPy {np.__version__}: {error}"
    return None


def use_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's kernels are interpreted in this test, which is skipped where they cannot be."""
    pytest.importorskip("triton", reason="Triton is not installed")
    if reason := why_not():
        pytest.skip(reason)
    monkeypatch.setenv("TRITON_INTERPRET", "1")

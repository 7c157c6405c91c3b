"""The package as it is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

import hrnet_fast

ROOT = Path(__file__).resolve().parents[1]


def test_public_names_are_there():
    for name in hrnet_fast.__all__:
        assert getattr(hrnet_fast, name) is not None
    assert {"create_model", "list_models", "load_weights", "save_weights", "optimize", "explain", "verify"} <= set(
        dir(hrnet_fast)
    )


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'hrnet_fast' has no attribute 'optimise'"):
        hrnet_fast.optimise  # noqa: B018


def test_import_is_cheap():
    """Importing the package adds under 0.1 s to importing torch, and no rival or task library."""
    code = (
        "import sys, time, torch; before = set(sys.modules); start = time.process_time(); import hrnet_fast; "
        "print(time.process_time() - start); print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, modules = out.split("\n")[:2]
    assert float(seconds) < 0.1
    assert all(name.startswith("hrnet_fast") for name in modules.split())

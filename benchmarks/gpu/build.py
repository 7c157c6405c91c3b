"""Compiles the extension in place, for a Python that cannot install anything."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time

import torch

from benchmarks.gpu.paths import ROOT, WORK

RECORD = ROOT / "kernels" / "_build.json"
SECONDS = 400.0


def build_in_place() -> str:
    """Compiles what changed, C++ and CUDA where there is a toolkit, and says in one line what came of it.

    Nothing fails for want of it: without the extension the ops run on plain torch, and the line says why.
    """
    lacking = [name for name in ("setuptools", "ninja") if importlib.util.find_spec(name) is None]
    if "setuptools" in lacking:
        return "extension: not compiled, as this Python has no setuptools"
    environment = {"HRNET_FAST_BUILD": "auto", **os.environ}
    if torch.cuda.is_available() and "TORCH_CUDA_ARCH_LIST" not in environment:
        environment["TORCH_CUDA_ARCH_LIST"] = "{}.{}".format(*torch.cuda.get_device_capability())
    WORK.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with open(WORK / "build.log", "w") as log:
        try:
            status = subprocess.run(
                [sys.executable, "setup.py", "build_ext", "--inplace"], cwd=ROOT, env=environment, stdout=log,
                stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"extension: not compiled within {SECONDS:.0f} s; see {WORK / 'build.log'}"
    return f"{outcome(status)} ({time.perf_counter() - begun:.0f} s{', without ninja' if lacking else ''})"


def outcome(status: int) -> str:
    """What setup.py's record says."""
    if status != 0 or not RECORD.exists():
        return f"extension: setup.py ended with status {status}; see {WORK / 'build.log'}"
    record = json.loads(RECORD.read_text())
    reasons = "; ".join(f"no {kind} ops: {reason}" for kind, reason in record["reasons"].items())
    return f"extension: {record['kind']} ops" + (f" ({reasons})" if reasons else "")

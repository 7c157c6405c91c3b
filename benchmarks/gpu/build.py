"""Compiles the extension in place, for a Python that cannot install anything, and tells what the extension has."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from contextlib import suppress

import torch

from benchmarks.sources import ROOT, WORK

RECORD = ROOT / "kernels" / "_build.json"
SECONDS = {"cuda": 360.0, "auto": 360.0, "cpu": 180.0, "none": 60.0}  # by what is asked of setup.py
COMMAND = (sys.executable, "setup.py", "build_ext", "--inplace")


def build_in_place() -> str:
    """Compiles what changed, C++ and CUDA where there is a GPU, and says in one line what came of it.

    Nothing fails for want of it: without the extension the ops run on plain torch, and the line says why.
    """
    lacking = [name for name in ("setuptools", "ninja") if importlib.util.find_spec(name) is None]
    if "setuptools" in lacking:
        return "extension: not compiled, as this Python has no setuptools"
    environment = {"HRNET_FAST_BUILD": "auto", **os.environ}
    # ninja lies beside this Python, which may be called without its environment being on the PATH
    environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    kinds = [environment["HRNET_FAST_BUILD"]]
    if torch.cuda.is_available():
        if "TORCH_CUDA_ARCH_LIST" not in environment:
            environment["TORCH_CUDA_ARCH_LIST"] = architecture(torch.cuda.get_device_capability())
        if kinds == ["auto"]:
            kinds = ["cuda", "cpu"]  # as "auto" would, but what CUDA lacks is an error and so is told
    WORK.mkdir(parents=True, exist_ok=True)
    begun, failed = time.perf_counter(), ""
    for kind in kinds:
        status = compile_kind(kind, environment)
        if status == 0:
            break
        failed += f"{kind} ops: {why(kind, status)}; "
    told = outcome(status) if status == 0 else "extension: not compiled"
    seconds = f"({time.perf_counter() - begun:.0f} s{', without ninja' if lacking else ''})"
    return f"{told} {seconds}" + (f"; FAILED: {failed}see {log_of(kinds[0])}" if failed else "")


def architecture(capability: tuple[int, int]) -> str:
    """What nvcc compiles for. 9.0a has instructions that 9.0 lacks: wgmma, bulk tensor copies."""
    return "9.0a" if capability == (9, 0) else "{}.{}".format(*capability)


def compile_kind(kind: str, environment: Mapping[str, str]) -> int | None:
    """setup.py's exit status; None if its time was over. What it started, ninja and nvcc too, ends with it."""
    with open(log_of(kind), "w") as log:
        process = subprocess.Popen(
            COMMAND, cwd=ROOT, env={**environment, "HRNET_FAST_BUILD": kind}, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        return process.wait(SECONDS.get(kind, 60.0))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def log_of(kind: str):
    return WORK / f"build-{kind}.log"


def why(kind: str, status: int | None) -> str:
    """What the build's log says of its failure: an error of the compiler, or its last line."""
    if status is None:
        return f"not compiled within {SECONDS[kind]:.0f} s"
    lines = [line.strip() for line in log_of(kind).read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "error :" in line]
    return [*lines[-1:], *errors[:1]][-1][:200] if lines else f"setup.py ended with status {status}"


def outcome(status: int) -> str:
    """What setup.py's record says."""
    if status != 0 or not RECORD.exists():
        return f"extension: setup.py ended with status {status} and left no record"
    record = json.loads(RECORD.read_text())
    reasons = "; ".join(f"no {kind} ops: {reason}" for kind, reason in record["reasons"].items())
    return f"extension: {record['kind']} ops" + (f" ({reasons})" if reasons else "")


def extension_row(built: str | None = None) -> dict:
    """What the extension has that this process loads. Without the CUDA ops every test of theirs would be skipped, which
    looks like a success. built: what `build_in_place` said."""
    from hrnet_fast import kernels

    loaded = kernels.extension()
    row = {"name": "CUDA ops", "status": "ok", "reason": None, "arches": loaded.build.get("arches")}
    if loaded.kind == "cuda":
        return row
    reason = f"THE CUDA OPS ARE MISSING, and with them all their tests and rows: {built or loaded.reason}"
    return {**row, "status": "failed", "reason": reason[:400]}

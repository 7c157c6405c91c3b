"""The tests on a GPU, and compute-sanitizer on a small network."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.paths import ROOT, WORK
from hrnet_fast.processor import available_cores

# what runs on a GPU comes first; each folder is a row, so that a time limit loses one alone
TEST_FOLDERS = ("tests/gpu", "tests/kernels", "tests/engine", "tests/test_api.py")
DRY_TESTS = ("tests/test_env.py",)
# tool, executor, and how the small network is played (benchmarks/gpu/small_net.py)
SANITIZED = (
    ("memcheck", "triton", "tape"), ("racecheck", "triton", "graph"), ("memcheck", "cuda", "tape"),
    ("racecheck", "cuda", "graph"), ("memcheck", "cuda-chains", "tape"), ("memcheck", "cudnn", "graph"),
)  # fmt: skip
_FAILURES_SHOWN = 12


def test_jobs(dry_run: bool) -> Iterator[Job]:
    for folder in DRY_TESTS if dry_run else TEST_FOLDERS:
        yield Job("tests", (folder,), ("pytest",), None, dry_run, expected_s=60, limit_s=400)


def sanitizer_jobs(dry_run: bool) -> Iterator[Job]:
    """racecheck sees shared memory alone, which cuDNN's kernels are trusted with."""
    for tool, executor, how in SANITIZED:
        name = f"{tool}, {executor}, {how}"
        yield Job("sanitizer", (name,), (f"{tool}:{executor}:{how}",), None, dry_run, 60, 300)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """One row a test folder, or a tool and executor. The GPU is used by the processes that this starts, not by this."""
    for name, runner in job.rows():
        if job.part == "tests":
            emit({"name": name, **run_tests(name)})
        else:
            emit({"name": name, **sanitize(*runner.split(":"), job.dry_run)})


def run_tests(target: str) -> dict:
    """How many tests passed, failed and were skipped, and why; `reasons`: how many tests each reason of a skip took."""
    if importlib.util.find_spec("pytest") is None:
        return {"status": "not run", "reason": "pytest is not installed"}
    if not (ROOT / target).exists():
        return {"status": "not run", "reason": f"there is no {target}"}
    WORK.mkdir(parents=True, exist_ok=True)
    report = WORK / f"junit-{re.sub(r'[^a-z]+', '-', target)}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", target, "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    if importlib.util.find_spec("xdist") is not None:
        command += ["-n", str(min(8, max(1, available_cores() // 2)))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, errors="replace")
    if not report.exists():
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-1:]
        return {"status": "failed", "reason": f"pytest ended with {done.returncode}: {' '.join(last)}"[:300]}
    return read_junit(report, done.returncode)


def read_junit(report: Path, status: int) -> dict:
    """A row from pytest's XML report; `status`: pytest's exit status (5: there was no test)."""
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    broken, skipped = [], {}
    for case in suite.iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        fault = next((child for tag in ("failure", "error") for child in case.iter(tag)), None)
        skip = case.find("skipped")
        if fault is not None:
            message = (fault.get("message") or "").splitlines()
            broken.append(f"{name}: {message[0] if message else ''}"[:200])
        elif skip is not None:
            reason = skip.get("message") or "no reason given"
            skipped[reason] = skipped.get(reason, 0) + 1
    total = int(suite.get("tests", 0))
    row = {
        "status": "ok" if status == 0 else "failed",
        "reason": None,
        "passed": total - len(broken) - sum(skipped.values()),
        "failed": len(broken),
        "skipped": sum(skipped.values()),
        "reasons": skipped,
        "failures": broken[:_FAILURES_SHOWN],
        "seconds": round(float(suite.get("time", 0)), 1),
    }
    if broken:
        return {**row, "reason": f"{len(broken)} tests failed, the first is {broken[0]}"}
    if status:
        return {**row, "reason": "no test was found" if status == 5 else f"pytest ended with status {status}"}
    return row


def find_sanitizer() -> str | None:
    """compute-sanitizer on the PATH or in the CUDA toolkit."""
    homes = filter(None, (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"))
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *(f"{home}/bin" for home in homes)])
    return shutil.which("compute-sanitizer", path=folders)


def sanitize(tool: str, executor: str, how: str, dry_run: bool) -> dict:
    """The tool's count of errors over a small network, which must also compute the right numbers."""
    program = None if dry_run else find_sanitizer()
    if program is None and not dry_run:
        return {"status": "not run", "reason": "compute-sanitizer was found neither on the PATH nor in CUDA_HOME"}
    played = ["reference", "graph"] if dry_run else [executor, how]
    command = [sys.executable, "-m", "benchmarks.gpu.small_net", *played]
    environment = dict(os.environ)
    if program:
        command = [program, "--tool", tool, "--print-limit", "20", *command]
        if how == "tape":
            environment["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"  # else an overrun may end in a neighbour's memory
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, errors="replace"
    )
    return read_sanitizer(done.stdout + done.stderr, done.returncode, dry_run)


def read_sanitizer(output: str, status: int, dry_run: bool = False) -> dict:
    """A row from what the tool wrote: its summary line, the first of its messages, and the network's own line."""
    lines = output.splitlines()
    net = next((line for line in lines if "relative L2 error" in line), None)
    told = [line.removeprefix("=========").strip() for line in lines if line.startswith("=========")]
    summary = next((line for line in told if "SUMMARY:" in line), None)
    found = [line for line in told if re.match(r"(Error|Warning|Invalid|Program hit|Potential|Uninit)", line)]
    row = {"numbers": net, "summary": summary, "messages": found[:5]}
    if summary is None and not dry_run:
        last = next((line for line in reversed(lines) if line.strip()), "it wrote nothing")
        return {**row, "status": "failed", "reason": f"the tool ended with {status} and no summary: {last}"[:300]}
    counts = [int(n) for n in re.findall(r"(\d+) (?:errors?|hazards?)", summary or "")]
    if any(counts):
        return {**row, "status": "wrong", "reason": f"{summary}; {found[0] if found else 'no message'}"[:300]}
    if status != 0 or net is None:
        last = net or next((line for line in reversed(lines) if line and not line.startswith("=")), "it wrote nothing")
        reason = f"no error of memory, but the network ended with {status}: {last}"[:300]
        return {**row, "status": "failed", "reason": reason}
    return {**row, "status": "ok", "reason": None}

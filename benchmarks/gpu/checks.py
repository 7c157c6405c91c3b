"""The tests on a GPU, and compute-sanitizer on a small network."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path

import torch

from benchmarks.gpu import watch
from benchmarks.gpu.jobs import Emit, Job, seconds_left
from benchmarks.sources import ROOT, WORK, fingerprint, our_code
from hrnet_fast.processor import available_cores

# Files that use a GPU, each a row, and seconds for it: the CUDA level kernel, then whole networks. Whatever else lies
# in tests/gpu follows, and then what else uses a GPU where there is one.
FIRST = {"tests/gpu/test_cuda_level.py": 150, "tests/gpu/test_cuda_engine.py": 150, "tests/gpu/test_engine.py": 300}
ELSEWHERE = ("tests/kernels/test_level.py", "tests/engine/test_op_gpu.py")
SUITES = ("tests/kernels", "tests/engine", "tests/test_api.py")  # most of it needs no GPU
DRY_TESTS = ("tests/test_env.py",)
EACH_S, EACH_OF_SUITES_S = 120.0, 300.0  # for one test, after which it counts as hanging
# tool, executor, and how the small network is played (benchmarks/gpu/small_net.py)
SANITIZED = (
    ("memcheck", "cuda", "tape"), ("racecheck", "cuda", "graph"), ("memcheck", "cuda-chains", "tape"),
    ("memcheck", "triton", "tape"), ("racecheck", "triton", "graph"), ("memcheck", "cudnn", "graph"),
)  # fmt: skip
_FAILURES_SHOWN = 12
FAREWELL = 5.0  # seconds for pytest to end its processes


def test_jobs(dry_run: bool) -> Iterator[Job]:
    files = dict(FIRST)
    for path in (*sorted(ROOT.glob("tests/gpu/test_*.py")), *(ROOT / path for path in ELSEWHERE)):
        files.setdefault(str(path.relative_to(ROOT)), 150)
    for file, limit_s in dict.fromkeys(DRY_TESTS, 150).items() if dry_run else files.items():
        yield Job("tests", (file,), ("pytest",), None, dry_run, expected_s=40, limit_s=limit_s)


def suite_jobs(dry_run: bool) -> Iterator[Job]:
    for folder in DRY_TESTS if dry_run else SUITES:
        yield Job("suites", (folder,), ("pytest",), None, dry_run, expected_s=120, limit_s=500)


def sanitizer_jobs(dry_run: bool) -> Iterator[Job]:
    """racecheck sees shared memory alone, which cuDNN's kernels are trusted with."""
    for tool, executor, how in SANITIZED:
        name = f"{tool}, {executor}, {how}"
        yield Job("sanitizer", (name,), (f"{tool}:{executor}:{how}",), None, dry_run, 60, 150)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """One row a test folder, or a tool and executor. The GPU is used by the processes that this starts, not by this."""
    for name, runner in job.rows():
        if job.part in ("tests", "suites"):
            seconds, of_run = seconds_left(job), seconds_left(replace(job, limit_s=inf))
            each_s = EACH_S if job.part == "tests" else EACH_OF_SUITES_S
            row = run_tests(name, seconds - FAREWELL - 5.0, each_s)
            is_partial = bool(row.get("unfinished")) and of_run < seconds + 1.0  # another run has more time for it
            emit({"name": name, **row, **({"partial": True} if is_partial else {})})
        else:
            emit({"name": name, **sanitize(*runner.split(":"), job.dry_run)})


def run_tests(target: str, seconds: float, each_s: float = EACH_S) -> dict:
    """How many tests passed, failed and were skipped, and why; `reasons`: how many tests each reason of a skip took.

    What did not end within the seconds is counted under `unfinished`, and the next call goes on with it. A test that
    hangs or ends its process fails, and the others go on.
    """
    if importlib.util.find_spec("pytest") is None:
        return {"status": "not run", "reason": "pytest is not installed"}
    if not (ROOT / target).exists():
        return {"status": "not run", "reason": f"there is no {target}"}
    begun = time.monotonic()
    path = outcomes_of(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        before = watch.read(path)
        watch.known(path).write_text("\n".join(before.ended))
        watch.write(path, status=None)
        status = _pytest(target, path, begun + seconds - time.monotonic(), each_s)
        told = watch.read(path)
        if status is None or told.status is not None:
            break
        if not told.running and told.ended == before.ended:
            break
        for test, at in told.running.items():  # without xdist its process was all of pytest
            message = f"no end within {each_s:.0f} s" if time.monotonic() - at > each_s else "it ended its process"
            watch.write(path, test=test, outcome="failed", message=message)
            watch.write(path, ended=test)
    row = row_of(watch.read(path), status)
    if row["reason"] == f"pytest ended with status {status}":
        lines = [line for line in path.with_suffix(".log").read_text(errors="replace").splitlines() if line.strip()]
        row["reason"] = f"{row['reason']}: {' '.join(lines[-1:])}"[:300]
    if not row["unfinished"]:
        path.unlink()
    return {**row, "seconds": round(time.monotonic() - begun, 1)}


def outcomes_of(target: str) -> Path:
    """Where the outcomes of a target's tests are told, of these sources and tests alone."""
    sources = fingerprint(("tests/**/*.py",))
    return WORK / "tests" / f"{re.sub(r'[^a-z]+', '-', target)}-{our_code()}-{sources}.jsonl"


def _pytest(target: str, path: Path, seconds: float, each_s: float) -> int | None:
    """Its exit status; None if the seconds were too few."""
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-p", watch.__name__]
    command = [sys.executable, "-m", "pytest", target, *options]
    processes = 1
    if importlib.util.find_spec("xdist") is not None:
        processes = min(8, max(1, available_cores() // 2))
        command += ["-n", str(processes)]
    threads = max(1, available_cores() // processes)  # each process has torch.compile start so many others
    own = {watch.FILE: str(path), watch.EACH: str(each_s), "TORCHINDUCTOR_COMPILE_THREADS": str(threads)}
    environment = {**os.environ, **own}
    with open(path.with_suffix(".log"), "w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that it ends the processes that it started
        with suppress(subprocess.TimeoutExpired):
            process.wait(FAREWELL)
        return None
    finally:
        process.kill()
        process.wait()


def row_of(told: watch.Told, status: int | None) -> dict:
    """A row from the outcomes of tests; `status`: pytest's exit status (5: there was no test), None if it was ended."""
    by_outcome: dict[str, dict[str, str]] = {outcome: {} for outcome in watch.WORST}
    for test, (outcome, message) in told.outcomes.items():
        if outcome == "failed" or test in told.ended:
            by_outcome[outcome][test] = message
    failed, skipped, passed = by_outcome.values()
    broken = [f"{test.rpartition('/')[2]}: {message}"[:200] for test, message in failed.items()]
    unfinished = max(0, told.total - len(told.ended))
    row = {
        "status": "ok",
        "reason": None,
        "passed": len(passed),
        "failed": len(failed),
        "skipped": len(skipped),
        "unfinished": unfinished,
        "reasons": dict(Counter(skipped.values())),
        "failures": broken[:_FAILURES_SHOWN],
    }
    late = f"{unfinished} of {told.total} tests did not end in time" if unfinished else ""
    if late and told.running:
        late += f"; at the end ran {', '.join(test.rpartition('::')[2] for test in list(told.running)[:3])}"
    if broken:
        reason = f"{len(broken)} tests failed, the first is {broken[0]}"
        return {**row, "status": "failed", "reason": f"{reason}; {late}" if late else reason}
    if status is None:
        return {**row, "status": "timed out", "reason": late or "no test began in time"}
    if status in (0, 5) and skipped and not passed:
        return {**row, "status": "not run", "reason": f"every test was skipped: {max(row['reasons'], key=len)}"}
    if status == 0 or (status == 5 and passed):  # 5: all of them ended in an earlier run
        return row
    reason = "no test was found" if status == 5 else f"pytest ended with status {status}"
    return {**row, "status": "failed", "reason": reason}


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
        # libraries ask the driver for functions that it may lack; what fails in earnest, torch raises
        command = [program, "--tool", tool, "--report-api-errors", "no", "--print-limit", "20", *command]
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

"""Runs the children, and holds what they computed against float64."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.cases import Case
from benchmarks.compare import Question, judge
from benchmarks.runners import Runner
from benchmarks.sheet import Made, made
from benchmarks.sources import ROOT

LIMIT_S = 570


@dataclass(frozen=True)
class Row:
    """One runner in one case: bytes beyond what its process held once all was imported.

    building: peak from the plain module to the first result; running: peak of three more calls; kept: held after them.
    status, reason, error, error_torch: as benchmarks.results.Row; bytes are None unless the numbers were right.
    """

    model: str
    size: str
    batch: int
    dtype: str
    runner: str
    status: str
    reason: str | None
    error: float | None
    error_torch: float
    building: int | None
    running: int | None
    kept: int | None
    made: Made

    @property
    def case(self) -> tuple[str, str, int, str]:
        return self.model, self.size, self.batch, self.dtype

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        return (*self.case, self.runner)

    @property
    def peak(self) -> int | None:
        return None if self.building is None else max(self.building, self.running)


def measure(case: Case, runner: Runner, question: Question) -> Row:
    """A row, also where the runner cannot run or fails. Errors: ValueError where ours does."""
    status, reason, error = "not run", runner.refusal(case.torch_dtype, torch.device("cpu")), None
    found: dict[str, int | None] = {}
    if reason is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "outputs.pt")
            done = _child(case, runner.name, file)
            if isinstance(done, str):
                if runner.is_ours:
                    raise ValueError(f"{runner.name}, {case}: {done}")
                status, reason = "failed", done
            else:
                status, reason, error = judge(torch.load(file), question, case.dtype, runner.is_ours)
                found = done if status in ("ok", "outside tolerance") else {}
    sizes = [found.get(name) for name in ("building", "running", "kept")]
    key = (case.model, case.size, case.batch, case.dtype, runner.name)
    return Row(*key, status, reason, error, question.error_torch, *sizes, made())


def _child(case: Case, runner: str, file: Path) -> dict[str, int | None] | str:
    """What the child found, or in one sentence why it did not."""
    asked = [json.dumps(asdict(case)), runner, str(torch.get_num_threads()), str(file)]
    command = [sys.executable, "-m", "benchmarks.memory.child", *asked]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"it took longer than {LIMIT_S} seconds"
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return f"its process ended with {done.returncode}: {' '.join(last)}"
    return json.loads(done.stdout.splitlines()[-1])

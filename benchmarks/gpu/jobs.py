"""What a child process is asked to do, and what it gives back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from types import ModuleType

import torch

from benchmarks.cases import Case

Emit = Callable[[dict], None]  # takes a row: name, status, and what was measured
# environment of a child, by time.monotonic() of the machine: when it is ended, and since when its row is waited for
DEADLINE, BEGUN = "HRNET_FAST_BENCH_DEADLINE", "HRNET_FAST_BENCH_BEGUN"


@dataclass(frozen=True)
class Job:
    """Rows that one child makes, in this order.

    names: of the rows; runners: for each name, what it is to run; case: the network and its input, if any.
    expected_s: seconds that the first row normally takes at the most, the child's start included: without that
    much time left the job is not begun. limit_s: a row that takes longer is given up; it does not count what is waited
    for others. beside: may be built while other such jobs are built (none is timed meanwhile). unless: (part, name) of
    another row; where that one was given up, this job would be, too, and is not begun.
    """

    part: str
    names: tuple[str, ...]
    runners: tuple[str, ...]
    case: Case | None = None
    dry_run: bool = False
    expected_s: float = 30.0
    limit_s: float = 120.0
    beside: bool = False
    unless: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if len(self.names) != len(self.runners) or not self.names:
            raise ValueError(f"a job needs a runner for each name, not {len(self.runners)} for {len(self.names)}")

    def rows(self) -> list[tuple[str, str]]:
        """(name, runner) of each row."""
        return list(zip(self.names, self.runners, strict=True))

    def only(self, names: set[str]) -> Job | None:
        """The job without the rows of other names; None if none is left."""
        kept = [(name, runner) for name, runner in self.rows() if name in names]
        return replace(self, names=tuple(n for n, _ in kept), runners=tuple(r for _, r in kept)) if kept else None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        data = json.loads(text)
        data["names"], data["runners"] = tuple(data["names"]), tuple(data["runners"])
        data["unless"] = data["unless"] and tuple(data["unless"])
        data["case"] = None if data["case"] is None else Case(**data["case"])
        return cls(**data)


@dataclass(frozen=True)
class Part:
    """A part of the report.

    module: of benchmarks.gpu; its `function` yields the part's jobs, and its `run` does one. It is loaded when needed,
    so that a package which one part lacks stops that part alone.
    needs: what only this part imports. ours: its rows are true of these sources alone. asked: not unless it is named.
    """

    module: str
    function: str = "jobs"
    needs: tuple[str, ...] = ()
    ours: bool = True
    asked: bool = False

    def jobs(self, dry_run: bool) -> Iterator[Job]:
        return getattr(self._load(), self.function)(dry_run)

    def run(self, job: Job, emit: Emit, device: torch.device) -> None:
        self._load().run(job, emit, device)

    def _load(self) -> ModuleType:
        return import_module(f"benchmarks.gpu.{self.module}")


_PHOTO, _PYTEST = ("matplotlib", "PIL"), ("pytest",)
# What would change what is done next comes first, what takes longest last.
PARTS = {
    "micro": Part("micro", ours=False),
    "tests": Part("checks", "test_jobs", needs=_PYTEST),
    "ours": Part("ours", needs=_PHOTO),
    "profile": Part("levels", needs=_PHOTO),
    "sanitizer": Part("checks", "sanitizer_jobs", needs=_PYTEST),
    "tuned": Part("ours", "tuned_jobs", needs=_PHOTO),
    "cudnn": Part("cudnn", ours=False),
    "baselines": Part("baselines", needs=_PHOTO, ours=False),
    "suites": Part("checks", "suite_jobs", needs=_PYTEST, asked=True),
}


def seconds_left(job: Job) -> float:
    """In a child: how much longer the row may take that it is at; a child's start is its first row's time."""
    now = time.monotonic()
    return min(float(os.environ.get(BEGUN, now)) + job.limit_s, float(os.environ.get(DEADLINE, "inf"))) - now

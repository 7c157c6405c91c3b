"""What a run of `pytest benchmarks/` is asked to do, from its options."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from benchmarks import isa, machine
from benchmarks.cases import PROFILES, Case, cases_named, positive_int, words_of
from benchmarks.compare import Comparison
from benchmarks.progress import Progress
from benchmarks.results import LOCAL, Row, Run, merged, row_of, run_before, write_run
from benchmarks.runners import OURS, HrnetFast, Runner, choose_rivals
from benchmarks.sources import our_code
from benchmarks.text import is_busy


@dataclass
class Session:
    """What is asked for, and what was measured so far.

    left_out: name of a rival -> why it is not run; seconds: timing budget of a case; out: folder of the results.
    budget: seconds after which no further case starts; before: what that folder's file holds of an earlier run;
    load_before: cores that other programs kept busy before the first case.
    """

    profile: str
    cases: list[Case]
    rivals: list[Runner]
    left_out: dict[str, str]
    threads: int
    device: torch.device
    seconds: float
    out: Path
    command: str
    budget: float = math.inf
    resume: bool = False
    before: Run | None = None
    rows: list[Row] = field(default_factory=list)
    load_before: float | None = None
    started: float = field(default_factory=time.monotonic)

    def look_around(self, progress: Progress) -> None:
        """Before the first case: says how busy other programs keep the machine."""
        if self.rows:
            return
        self.load_before = load = machine.load_of_others()
        if load is not None:
            warning = ": do not rely on the times" if is_busy(load) else ""
            progress.line(f"\nOther programs keep {load:.1f} of {machine.available_cores()} cores busy{warning}.")

    def add(self, done: Comparison) -> Path:
        """Keeps the rows and writes the file, so that what ends a run early loses no case."""
        self.rows += [replace(row, load_before=self.load_before) for row in done.rows]
        return write_run(self.run(), self.out)

    def reason_to_skip(self, case: Case) -> str | None:
        """Why a case is not measured now, or None."""
        if self.resume and self.has(case):
            return "measured before, with the same sources"
        if time.monotonic() - self.started > self.budget:
            return f"the {self.budget:g} seconds are spent: the same command with --resume goes on"
        return None

    def has(self, case: Case) -> bool:
        """Whether the file holds this case, measured with these sources and all rivals that are asked for."""
        key = row_of(case, OURS, "not run").key
        older = self.before.rows if self.before else ()
        newest = [row for row in self.rows if row.key == key] or [row for row in older if row.key == key]
        reasons = dict(PROFILES[self.profile].left_out).values()
        tried = {row.executor for row in newest if row.code == our_code() and row.reason not in reasons}
        return tried >= {OURS, *(rival.name for rival in self.rivals)} - self.left_out.keys()

    def shown(self) -> Run | None:
        """What the report at the end shows: this run's cases, or with --resume all that the file holds."""
        run = self.run()
        if self.resume and self.before is not None:
            run = merged(self.before, run)
        return run if run.rows else None

    def run(self) -> Run:
        """All that was measured, with where and on what."""
        return Run(
            profile=self.profile,
            command=self.command,
            machine=machine.describe_machine(),
            device=machine.describe_device(self.device),
            versions=machine.versions(),
            threads=self.threads,
            weights="random weights",
            settings={runner.name: runner.settings for runner in (HrnetFast(), *self.rivals)},
            rows=tuple(self.rows),
        )


def make_session(option: Callable[[str], object]) -> Session:
    """Reads and checks the options before anything runs. Errors: ValueError that names the option and what it takes."""
    name = option("profile")
    profile = PROFILES[name]
    cases = cases_named(name, *map(option, ("models", "size", "batch", "dtype")))
    device = _device(option("device"))
    threads = machine.usual_threads() if option("threads") is None else positive_int("--threads", option("threads"))
    seconds = profile.seconds if option("seconds") is None else option("seconds")
    if not 0 < seconds < math.inf:
        raise ValueError(f"--seconds must be positive and finite, not {seconds:g}")
    budget = math.inf if option("budget") is None else option("budget")
    if not budget > 0:
        raise ValueError(f"--budget must be positive, not {budget:g}")
    keys = ("models", "size", "batch", "dtype", "rivals", "seconds", "device")
    words = [f"--{key} {option(key)}" for key in keys if option(key) not in (None, "cpu")]
    session = Session(
        profile=name,
        cases=cases,
        rivals=choose_rivals(words_of(option("rivals")) or ["all"], device.type),
        left_out={} if option("rivals") else dict(profile.left_out),
        threads=threads,
        device=device,
        seconds=seconds,
        out=_folder(option("out") or LOCAL),
        command=isa.command(" ".join(["pytest benchmarks --profile", name, *words, f"--threads {threads}"])),
        budget=budget,
        resume=bool(option("resume")),
    )
    return replace(session, before=run_before(session.run(), session.out))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device is cpu or cuda, not {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no CUDA device here")
    return device


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {path} cannot be made: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise ValueError(f"--out {path} is not writable")
    return path

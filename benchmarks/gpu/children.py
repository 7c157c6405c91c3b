"""Runs jobs in child processes, each within its time, and keeps their rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.gpu.jobs import Job
from benchmarks.gpu.paths import ROOT, WORK
from benchmarks.gpu.worker import DEAD, MARK

Rows = Callable[[dict], None]
COMMAND = (sys.executable, "-m", "benchmarks.gpu.worker")


def run_child(job: Job, deadline: float, keep: Rows, environment: Mapping[str, str] | None = None) -> set[str]:
    """Makes the job's rows in children; a child that dies loses the row it was at, and another one goes on.

    deadline: of `time.monotonic()`. keep: takes each row. Returns the names that the deadline left without a row: the
    next run takes them.
    """
    missing = dict.fromkeys(job.names)
    while missing and time.monotonic() < deadline:
        child = _Child(job.only(set(missing)), environment or {})
        try:
            for row in child.rows(deadline, job.limit_s):
                missing.pop(row["name"], None)
                keep(row)
        finally:
            verdict = child.end()
        if not missing:
            break
        lost = next(iter(missing))
        if child.stopped and time.monotonic() >= deadline:
            break
        if child.stopped:
            keep({"name": lost, "status": "timed out", "reason": f"no result after {job.limit_s:.0f} s"})
        elif verdict == DEAD:
            continue  # the row that broke the GPU has said so itself
        else:
            keep({"name": lost, "status": "failed", "reason": f"the process ended ({verdict}): {child.last_words()}"})
        missing.pop(lost)
    return set(missing)


_LIVE: set[_Child] = set()


def end_all() -> None:
    """Ends whatever child still runs."""
    for child in list(_LIVE):
        child.end()


class _Child:
    """One process, in a process group of its own, so that what it starts ends with it."""

    def __init__(self, job: Job, environment: Mapping[str, str]):
        logs = WORK / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{job.part}-{os.getpid()}-{threading.get_ident()}.log"
        self.stopped = False
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [*COMMAND, job.to_json()], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                stderr=log, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        _LIVE.add(self)

    def rows(self, deadline: float, limit_s: float) -> Iterator[dict]:
        """Each row as it comes; ends the process at the deadline, or when a row takes longer than its limit."""
        self._until = min(deadline, time.monotonic() + limit_s)
        threading.Thread(target=self._watch, daemon=True).start()
        for line in self._process.stdout:
            if line.startswith(MARK):
                self._until = min(deadline, time.monotonic() + limit_s)
                yield json.loads(line[len(MARK) :])

    def _watch(self) -> None:
        while self._process.poll() is None:
            if time.monotonic() > self._until:
                self.stopped = True
                self._kill()
            time.sleep(0.1)
        self._kill()  # helpers that outlive it would keep its output open

    def end(self) -> int:
        """The exit status; the process and all that it started are ended."""
        self._kill()
        _LIVE.discard(self)
        return self._process.wait()

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def last_words(self) -> str:
        """The last line of its errors that says something."""
        lines = [line.strip() for line in Path(self._log).read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it left no message"

"""Runs jobs in child processes, each within its time, and keeps their rows."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.gpu.jobs import BEGUN, DEADLINE, Job
from benchmarks.gpu.turns import RUNS, WAITS
from benchmarks.gpu.worker import DEAD, MARK
from benchmarks.sources import ROOT, WORK

Rows = Callable[[dict], None]
COMMAND = (sys.executable, "-m", "benchmarks.gpu.worker")
_POLL, _FAREWELL = 0.1, 5.0  # seconds


def run_child(job: Job, deadline: float, keep: Rows, environment: Mapping[str, str] | None = None) -> set[str]:
    """Makes the job's rows in children; a child that dies loses the row it was at, and another one goes on.

    deadline: of `time.monotonic()`. keep: takes each row. Returns the names that the deadline left without a row: the
    next run takes them.
    """
    missing = dict.fromkeys(job.names)
    while missing and time.monotonic() < deadline and not _ENDED.is_set():
        times = {DEADLINE: str(deadline), BEGUN: str(time.monotonic())}
        child = _Child(job.only(set(missing)), {**(environment or {}), **times})
        try:
            for row in child.rows(deadline, job.limit_s):
                missing.pop(row["name"], None)
                keep(row)
        finally:
            verdict = child.end()
        if not missing or _ENDED.is_set() or (child.stopped and time.monotonic() >= deadline):
            break
        lost = next(iter(missing))
        if child.stopped:
            keep({"name": lost, "status": "timed out", "reason": f"no result after {job.limit_s:.0f} s"})
        elif verdict == DEAD:
            continue  # the row that broke the GPU has said so itself
        else:
            keep({"name": lost, "status": "failed", "reason": f"the process ended ({verdict}): {child.last_words()}"})
        missing.pop(lost)
    return set(missing)


_LIVE: set[_Child] = set()
_ENDED = threading.Event()


def begin() -> None:
    """Children may be started, also after an `end_all`."""
    _ENDED.clear()


def end_all() -> None:
    """Ends whatever child still runs, and starts no other."""
    _ENDED.set()
    for child in list(_LIVE):
        child.end()


class _Child:
    """One process, in a process group of its own, so that what it starts ends with it.

    stopped: whether it was given up, for lack of time.
    """

    def __init__(self, job: Job, environment: Mapping[str, str]):
        logs = WORK / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{job.part}-{os.getpid()}-{threading.get_ident()}.log"
        self.stopped = False
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [*COMMAND, job.to_json()], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        _LIVE.add(self)

    def rows(self, deadline: float, limit_s: float) -> Iterator[dict]:
        """Each row as it comes, until the process ends, the deadline is there, or a row takes longer than its limit.

        What the process waits for its turn at the GPU does not count for the limit.
        """
        for line in self._lines(deadline, limit_s):
            if line.startswith(MARK):
                yield json.loads(line[len(MARK) :])

    def _lines(self, deadline: float, limit_s: float) -> Iterator[str]:
        """Helpers that outlive the process may keep its output open: then what was written before its end counts."""
        output, pending = self._process.stdout.fileno(), b""
        until, unspent = min(deadline, time.monotonic() + limit_s), limit_s
        while not self.stopped:
            ended = self._process.poll() is not None
            if select.select([output], [], [], _POLL)[0]:
                data = os.read(output, 1 << 16)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    now = time.monotonic()
                    if line.startswith(MARK.encode()):
                        until = min(deadline, now + limit_s)
                    elif line == WAITS.encode():
                        until, unspent = deadline, until - now
                    elif line == RUNS.encode():
                        until = min(deadline, now + unspent)
                    yield line.decode(errors="replace")
            elif ended:
                return
            self.stopped = time.monotonic() > until

    def end(self) -> int:
        """The exit status; the process and all that it started are ended."""
        if not self.stopped and not _ENDED.is_set() and sys.exc_info()[0] is None:
            try:
                self._process.wait(_FAREWELL)  # it has closed its output, and is about to end by itself
            except subprocess.TimeoutExpired:
                self.stopped = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        _LIVE.discard(self)
        return self._process.wait()

    def last_words(self) -> str:
        """The last line of its errors that says something."""
        lines = [line.strip() for line in Path(self._log).read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it left no message"

"""A pytest plugin (`-p benchmarks.gpu.watch`): each test's outcome is in a file the moment it is known.

So a run that is ended in the middle has told what passed and what failed. A test that hangs ends its process, since no
Python code runs while a kernel that never ends is waited for; so does one that loses the GPU, which would fail every
test after it in that process. Under pytest-xdist another process takes over. Lines of the file are JSON objects:

    {"total": 118}                                                            tests that there are, known ones too
    {"began": "tests/…::test_a[x]", "at": 12.5}
    {"test": "tests/…::test_a[x]", "outcome": "passed", "message": ""}        or "failed" or "skipped"; the worst counts
    {"ended": "tests/…::test_a[x]"}
    {"status": 1}                                                             pytest's own exit status
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FILE, EACH = "HRNET_FAST_BENCH_TESTS", "HRNET_FAST_BENCH_TEST_S"  # environment: the file; seconds for one test
WORST = ("failed", "skipped", "passed")


@dataclass
class Told:
    """What a file says. outcomes: (outcome, message) by test; running: tests that began and did not end; status: of the
    last pytest run that came to its end."""

    total: int = 0
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    running: dict[str, float] = field(default_factory=dict)
    status: int | None = None


def read(path: Path) -> Told:
    told = Told()
    for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:  # cut off in the middle
            continue
        told.total = max(told.total, line.get("total", 0))
        told.status = line.get("status", told.status)
        if "began" in line:
            told.running[line["began"]] = line["at"]
        if "test" in line:
            own, before = (line["outcome"], line["message"]), told.outcomes.get(line["test"])
            if before is None or WORST.index(own[0]) < WORST.index(before[0]):
                told.outcomes[line["test"]] = own
        if "ended" in line:
            told.running.pop(line["ended"], None)
            told.ended.add(line["ended"])
    return told


def write(path: str | Path, **line: object) -> None:
    """Appended at once, so that lines of several processes do not mix."""
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def known(path: str | Path) -> Path:
    """The list of tests that a run leaves out. It must not change meanwhile: processes that take over read it, too."""
    return Path(path).with_suffix(".known")


class Writer:
    """What the process does that hears of all tests."""

    def __init__(self, path: str):
        self.path = path
        self.begun: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.begun[nodeid] = time.monotonic()
        write(self.path, began=nodeid, at=self.begun[nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_gone = report.when == "???"  # the process that ran it
        if report.outcome != "passed" or report.when == "call":
            message = end_of(self.begun.get(report.nodeid, 0.0)) if is_gone else message_of(report)
            write(self.path, test=report.nodeid, outcome=report.outcome, message=message)
        if is_gone or report.when == "teardown":
            write(self.path, ended=report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            write(self.path, test=report.nodeid, outcome=report.outcome, message=message_of(report))
            write(self.path, ended=report.nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        write(self.path, status=int(exitstatus))


def end_of(begun: float) -> str:
    """Why a test has ended its process."""
    each_s = float(os.environ[EACH])
    return f"no end within {each_s:.0f} s" if time.monotonic() - begun > 0.95 * each_s else "it ended its process"


def message_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The first line of an error, or the reason of a skip."""
    told = report.longrepr
    if isinstance(told, (tuple, list)):
        return str(told[-1]).removeprefix("Skipped: ")
    crash = getattr(told, "reprcrash", None)
    lines = [line.strip() for line in str(crash.message if crash else told or "").splitlines() if line.strip()]
    return (lines[0] if crash else lines[-1])[:200] if lines else ""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(os.environ[FILE]))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    path = os.environ[FILE]
    if getattr(config, "workerinput", {"workerid": "gw0"})["workerid"] == "gw0":
        write(path, total=len(items))
    left_out = set(known(path).read_text().splitlines()) if known(path).exists() else set()
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    path = os.environ[FILE]
    with open(Path(path).with_suffix(".stacks"), "a") as stacks:
        faulthandler.dump_traceback_later(float(os.environ[EACH]), exit=True, file=stacks)
        try:
            result = yield
            if why := lost():
                write(path, test=item.nodeid, outcome="failed", message=f"the GPU was lost: {why}")
                write(path, ended=item.nodeid)
                os._exit(1)
            return result
        finally:
            faulthandler.cancel_dump_traceback_later()


def lost() -> str | None:
    """What the GPU says where it answers this process no more."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        return str(error).partition("\n")[0][:150]
    return None

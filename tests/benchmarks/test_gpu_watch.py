"""Test files as rows: a test that hangs, dies or loses the GPU costs itself alone; a run that is cut off has told."""

from __future__ import annotations

import importlib.machinery
import json
import subprocess
import time

import pytest

from benchmarks.gpu import checks, watch
from benchmarks.gpu.jobs import PARTS, Job
from benchmarks.gpu.schedule import Budget, play
from benchmarks.gpu.store import Store
from benchmarks.gpu.tables import line_of, terminal_tables
from tests.benchmarks.test_gpu_store import ABOUT

GOOD = """
import os, time
import pytest

@pytest.mark.parametrize("number", range(3))
def test_good(number):
    pass

@pytest.mark.skip(reason="needs a GPU")
def test_skipped():
    pass

def test_bad():
    assert 1 == 2, "one is not two"
"""
HANGING = (
    GOOD
    + """
def test_hangs():
    time.sleep(600)

def test_after():
    pass
"""
)
DYING = (
    GOOD
    + """
def test_dies():
    os._exit(7)

def test_after():
    pass
"""
)
LOST = """
import sys
from types import SimpleNamespace

torch = sys.modules["torch"] = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: False))

def test_loses_the_gpu():
    def synchronize():
        raise RuntimeError("CUDA error: an illegal memory access was encountered\\nmore")
    torch.cuda.is_initialized, torch.cuda.synchronize = lambda: True, synchronize

def test_after():
    assert not torch.cuda.is_initialized()
"""
SLOW = """
import os, time
import pytest

@pytest.mark.parametrize("number", range(40))
def test_slow(number):
    if number == 3:
        raise ValueError("three")
    while number > 3 and os.path.exists(HOLD):
        time.sleep(0.05)
"""


@pytest.fixture
def one_process(monkeypatch, tmp_path):
    """Runs a file of tests as a row, without xdist."""
    find_spec, root = checks.importlib.util.find_spec, checks.ROOT
    lacking = lambda name: None if name == "xdist" else find_spec(name)  # noqa: E731
    monkeypatch.setattr(checks.importlib.util, "find_spec", lacking)
    monkeypatch.setattr(checks, "WORK", tmp_path)
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    def play(text, seconds=60.0, each_s=30.0):
        (tmp_path / "test_it.py").write_text(text)
        return checks.run_tests("test_it.py", seconds, each_s)

    return play


@pytest.fixture(params=["one process", "xdist"])
def run(request, one_process, monkeypatch):
    """Runs a file of tests as a row, without xdist and with it."""
    if request.param == "xdist":
        pytest.importorskip("xdist")
        monkeypatch.setattr(checks.importlib.util, "find_spec", importlib.machinery.PathFinder.find_spec)
        monkeypatch.setattr(checks, "available_cores", lambda: 4)
    return one_process


def test_a_test_that_hangs_fails_and_the_others_are_told(run):
    begun = time.monotonic()
    row = run(HANGING, each_s=4.0)
    assert (row["passed"], row["failed"], row["skipped"], row["unfinished"]) == (4, 2, 1, 0)
    assert row["reasons"] == {"needs a GPU": 1} and row["status"] == "failed"
    bad, hangs = sorted(row["failures"])
    assert bad.startswith("test_it.py::test_bad: AssertionError: one is not two")
    assert hangs == "test_it.py::test_hangs: no end within 4 s" and time.monotonic() - begun < 300


def test_a_test_that_ends_its_process_fails_alone(run):
    row = run(DYING)
    assert (row["passed"], row["failed"], row["unfinished"]) == (4, 2, 0)
    assert "test_it.py::test_dies: it ended its process" in row["failures"]


def test_a_lost_gpu_does_not_fail_the_tests_after_it(run):
    row = run(LOST)
    assert (row["passed"], row["failed"]) == (1, 1) and row["reason"].endswith(
        "test_it.py::test_loses_the_gpu: the GPU was lost: CUDA error: an illegal memory access was encountered"
    )


def cut_off_after(tests, folder):
    """A Popen whose process is out of time once so many tests have ended, however slow the machine is."""

    class Process(subprocess.Popen):
        cut = False

        def wait(self, timeout=None):
            if self.cut:
                return super().wait(timeout)
            self.cut, until = True, time.monotonic() + 120
            while time.monotonic() < until:
                if sum(len(watch.read(path).ended) for path in folder.glob("tests/*.jsonl")) >= tests:
                    break
                time.sleep(0.05)
            raise subprocess.TimeoutExpired("pytest", timeout)

    return Process


def test_a_run_that_is_cut_off_has_told_and_the_next_goes_on(run, tmp_path, monkeypatch):
    hold = tmp_path / "hold"
    hold.touch()
    slow = SLOW.replace("HOLD", repr(str(hold)))
    with monkeypatch.context() as patch:
        patch.setattr(checks.subprocess, "Popen", cut_off_after(4, tmp_path))
        first = run(slow)
    hold.unlink()
    assert first["status"] == "failed" and 0 < first["unfinished"] < 40 and first["failed"] == 1
    assert first["passed"] + first["failed"] + first["unfinished"] == 40
    assert "first is test_it.py::test_slow[3]: ValueError: three" in first["reason"]
    assert f"{first['unfinished']} of 40 tests did not end in time; at the end ran test_slow[" in first["reason"]
    second = run(slow)
    assert (second["passed"], second["failed"], second["unfinished"]) == (39, 1, 0)
    assert not list(tmp_path.glob("tests/*.jsonl"))


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("def test_good(): pass", "ok", None),
        ("import no_such_module", "failed", "1 tests failed, the first is test_it.py: "),
        ("x = 1", "failed", "no test was found"),
        ("import pytest\npytestmark = pytest.mark.skip(reason='no GPU')\ndef test_it(): pass", "not run",
         "every test was skipped: no GPU"),
        ("import pytest\npytest.importorskip('no_such_module')", "not run", "every test was skipped: could not import"),
    ],
    ids=["good", "import", "empty", "skipped", "module"],
)  # fmt: skip
def test_what_pytest_ends_with(one_process, text, status, reason):
    row = one_process(text)
    assert row["status"] == status and (row["reason"] or "").startswith(reason or "")


def test_tests_that_are_not_there_or_cannot_run(monkeypatch):
    assert checks.run_tests("tests/no_such_folder", 9.0)["reason"] == "there is no tests/no_such_folder"
    find_spec = checks.importlib.util.find_spec
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None if name == "pytest" else find_spec(name))
    assert checks.run_tests("tests/kernels", 9.0)["reason"] == "pytest is not installed"


def test_half_a_line_is_not_read(tmp_path):
    path = tmp_path / "told"
    watch.write(path, began="a", at=1.0)
    path.write_text(path.read_text() + '{"ended": "a')
    assert watch.read(path).running == {"a": 1.0} and watch.read(tmp_path / "none").total == 0


def test_a_part_of_a_row_is_in_the_report_and_made_again(tmp_path):
    store = Store(tmp_path, {**ABOUT, "machine": {"cpu": "a CPU", "cores": 16}})
    row = {"status": "timed out", "reason": "9 of 12 tests did not end in time", "passed": 3, "failed": 0,
           "skipped": 0, "unfinished": 9, "reasons": {}, "failures": [], "seconds": 4.0}  # fmt: skip
    job = Job("tests", ("tests/gpu/test_ops.py",), ("pytest",))

    def child(job, deadline, keep, environment):
        keep({"name": job.names[0], **row, "partial": True})
        return set()

    assert play([job], store, Budget(100), child=child) == ["tests/gpu/test_ops.py"]
    assert not store.done("tests", job.names[0])
    told = terminal_tables(store.data())
    assert "  tests/gpu/test_ops.py: 3 passed, 0 failed, 0 skipped, 9 UNFINISHED in 4 s" in told
    assert "9 UNFINISHED, 4.0 s" in line_of({"part": "tests", "name": "x", **row})


@pytest.mark.parametrize(("limit_s", "partial"), [(30.0, False), (500.0, True)], ids=["row", "run"])
def test_only_what_the_run_had_no_time_for_is_made_again(monkeypatch, limit_s, partial):
    monkeypatch.setenv("HRNET_FAST_BENCH_DEADLINE", str(time.monotonic() + 100))
    seen = []
    monkeypatch.setattr(checks, "run_tests", lambda *given: seen.append(given) or {"status": "failed", "unfinished": 2})
    rows = []
    checks.run(Job("tests", ("a",), ("pytest",), limit_s=limit_s), rows.append, None)
    assert rows == [{"name": "a", "status": "failed", "unfinished": 2, **({"partial": True} if partial else {})}]
    assert seen[0][1] < min(limit_s, 100.0) - checks.FAREWELL


def test_the_cuda_kernel_is_tested_first_and_cpu_suites_only_when_asked():
    names = [job.names[0] for job in checks.test_jobs(False)]
    assert names[:3] == list(checks.FIRST) and names[-2:] == list(checks.ELSEWHERE)
    assert {str(path.relative_to(checks.ROOT)) for path in checks.ROOT.glob("tests/gpu/test_*.py")} <= set(names)
    assert all((checks.ROOT / name).exists() for name in (*names, *checks.SUITES))
    assert PARTS["suites"].asked


def test_every_file_that_uses_a_gpu_is_a_row():
    names = {job.names[0] for job in checks.test_jobs(False)}
    asking = "torch.cuda.is_available()"
    using = {str(path.relative_to(checks.ROOT)) for path in checks.ROOT.glob("tests/[!b]*/test_*.py")
             if asking in path.read_text()}  # fmt: skip
    assert using <= names


def test_outcomes_belong_to_the_sources(monkeypatch):
    own = checks.outcomes_of("tests/gpu/test_ops.py")
    assert own == checks.outcomes_of("tests/gpu/test_ops.py") != checks.outcomes_of("tests/gpu/test_engine.py")
    monkeypatch.setattr(checks, "our_code", lambda: "changed")
    assert checks.outcomes_of("tests/gpu/test_ops.py") != own and json.dumps(own.name)

"""`python -m benchmarks.gpu --dry-run`: every part of the script runs where there is no GPU, and measures nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import networks, timing, worker
from benchmarks.gpu.children import begin, run_child
from benchmarks.gpu.jobs import PARTS, Job
from benchmarks.gpu.store import read_report
from benchmarks.sources import ROOT

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_answers(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "WORK", tmp_path)
    networks.question.cache_clear()
    yield
    networks.question.cache_clear()


class Inline:
    """In place of child processes; counts the rows it made."""

    def __init__(self):
        self.made = []

    def __call__(self, job, deadline, keep, environment):
        def emit(row):
            self.made.append(row["name"])
            keep(json.loads(json.dumps(row, allow_nan=False)))

        worker.work(job, emit)
        return set(job.names) - set(self.made)


def run(tmp_path, *words):
    child = Inline()
    status = command.main(["--dry-run", "--out", str(tmp_path), *words], child=child)
    paths = list(tmp_path.glob("gpu-*.json"))
    return status, child.made, read_report(paths[0]) if paths else None


@pytest.mark.parametrize(
    ("part", "only", "rows"),
    [
        ("micro", "*", 11),
        ("cudnn", "*", 2),
        ("tests", "*", 1),
        ("suites", "*", 1),
        ("ours", "*", 5),
        ("tuned", "*", 4),
        ("profile", "*", 2),
        ("sanitizer", "memcheck, triton*", 1),
        ("baselines", "*: [pC]*", 3),
        ("baselines", "*: torch.compile max-autotune", 1),
    ],
    ids=["micro", "cudnn", "tests", "suites", "ours", "tuned", "profile", "sanitizer", "eager", "compile"],
)
def test_each_part_runs(tmp_path, capsys, part, only, rows):
    status, made, report = run(tmp_path, "--parts", part, "--only", only)
    assert status == 0 and len(made) == len(report["rows"]) == rows
    assert {row["status"] for row in report["rows"]} == {"ok"} and report["dry_run"] is True
    text = capsys.readouterr().out
    assert text.startswith("DRY RUN: tiny stand-ins") and "DRY RUN: nothing was measured" in text


def test_a_second_run_makes_nothing_again_unless_asked(tmp_path, capsys):
    words = ("--parts", "micro", "--only", "matrix*")
    assert len(run(tmp_path, *words)[1]) == 3
    assert run(tmp_path, *words)[1] == []
    status, made, report = run(tmp_path, *words, "--again", "*TF32")
    assert status == 0 and made == ["matrix product TF32"] and len(report["rows"]) == 3


def test_what_the_budget_does_not_bear_is_left_and_named(tmp_path, capsys):
    status, made, report = run(tmp_path, "--parts", "ours", "--budget", "0.001")
    assert status == 1 and made == [] and report is None
    assert "5 rows are left for another run" in capsys.readouterr().out


def test_a_part_that_lacks_a_package_is_skipped_with_a_sentence(tmp_path, capsys, monkeypatch):
    find_spec = command.importlib.util.find_spec
    lacking = lambda name: None if name == "matplotlib" else find_spec(name)  # noqa: E731
    monkeypatch.setattr(command.importlib.util, "find_spec", lacking)
    status, made, _ = run(tmp_path, "--parts", "micro,ours", "--only", "matrix*")
    assert status == 1 and len(made) == 3
    assert "part ours is skipped: it needs matplotlib, which this Python does not have" in capsys.readouterr().out


def test_where_nothing_can_be_installed_only_the_parts_that_say_so_are_skipped():
    free = [part.module for part in PARTS.values() if not part.needs]
    modules = ", ".join(f"benchmarks.gpu.{name}" for name in ("__main__", "worker", *free))
    code = f"import sys; sys.modules |= dict.fromkeys(('matplotlib', 'PIL', 'pytest')); import {modules}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and free == ["micro", "cudnn"], done.stderr


def test_dry_runs_are_kept_apart_from_results(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "DRY_FOLDER", tmp_path)
    assert command.main(["--dry-run", "--parts", "micro", "--only", "matrix*"], child=Inline()) == 0
    assert [path.name for path in tmp_path.glob("*.json")] == [f"gpu-none-dry-run-torch{_torch()}.json"]


def _torch():
    return ".".join(torch.__version__.split(".")[:2])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dry-run", "--parts", "micro,speed"], "--parts takes some of micro,tests"),
        (["--dry-run", "--parts", ""], "--parts takes some of"),
        (["--parts", "micro"], "torch sees no CUDA GPU here"),
    ],
    ids=["part", "empty", "no-gpu"],
)
def test_bad_options_end_with_one_sentence(tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([*words, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("budget", ["0", "-5", "nan", "soon"])
def test_bad_budgets_are_refused(budget, capsys):
    with pytest.raises(SystemExit):
        command.main([f"--budget={budget}"])
    assert "--budget" in capsys.readouterr().err


def test_every_part_has_jobs_whose_children_know_them():
    for name, part in PARTS.items():
        for dry_run in (True, False):
            assert {job.part for job in part.jobs(dry_run)} == {name}
    assert [name for name, part in PARTS.items() if part.asked] == ["suites"]


def test_a_real_child_makes_a_row(tmp_path):
    begin()
    rows = []
    job = Job("micro", ("matrix product float16",), ("product:float16",), dry_run=True)
    assert run_child(job, time.monotonic() + 120, rows.append) == set()
    assert [(row["name"], row["status"]) for row in rows] == [("matrix product float16", "ok")]


def test_at_least_the_asked_samples_are_taken_and_at_most_the_most():
    calls = []
    effort = timing.Effort(samples=5, seconds=0.0, most=9, warm_up=0.0)
    row = timing.isolated(lambda: calls.append(0), CPU, effort)
    assert row["samples"] == 5 and len(calls) == 6
    effort = timing.Effort(samples=5, seconds=60.0, most=9, warm_up=0.0)
    assert timing.isolated(lambda: None, CPU, effort)["samples"] == 9


def test_times_are_those_of_the_call():
    effort = timing.Effort(samples=3, seconds=0.0, most=3, warm_up=0.0)
    row = timing.isolated(lambda: time.sleep(0.01), CPU, effort, prefix="replay_")
    assert row["replay_p10_us"] >= 10_000 and row["replay_samples"] == 3


def test_a_cpu_has_no_gpu_memory():
    assert timing.steady_memory(lambda: None, CPU, timing.reserved(CPU)) is None


@pytest.mark.parametrize(("dependent", "capability"), [(False, 80), (True, 90)], ids=["plain", "dependent"])
def test_the_empty_kernel_compiles_without_a_gpu(dependent, capability):
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from benchmarks.gpu.empty_kernel import empty_kernel

    signature = {"p_out": "*i32", "value": "i32", "DEPENDENT": "constexpr"}
    source = ASTSource(empty_kernel, signature, constexprs={(2,): dependent})
    options = {"num_warps": 4, **({"launch_pdl": True} if dependent else {})}
    ptx = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["ptx"]
    assert ("griddepcontrol.wait" in ptx) == ("griddepcontrol.launch_dependents" in ptx) == dependent

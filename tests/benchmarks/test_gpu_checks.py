"""Tests and compute-sanitizer as rows: what their outputs are read as."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.gpu import build, checks, small_net
from hrnet_fast import kernels

CLEAN = """========= COMPUTE-SANITIZER
triton: relative L2 error 9.00e-04, plain torch's on the CPU 1.00e-03
========= ERROR SUMMARY: 0 errors
"""
INVALID = """========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 2 bytes
=========     at level_kernel+0x1230 in level.py:88
triton: relative L2 error 9.00e-04, plain torch's on the CPU 1.00e-03
========= ERROR SUMMARY: 1 error
"""
RACE = """========= COMPUTE-SANITIZER
========= Error: Race reported between Write access at level_kernel+0x1 and Read access at level_kernel+0x2
triton: relative L2 error 9.00e-04, plain torch's on the CPU 1.00e-03
========= RACECHECK SUMMARY: 3 hazards displayed (2 errors, 1 warning)
"""


@pytest.mark.parametrize(
    ("output", "status", "verdict", "reason"),
    [
        (CLEAN, 0, "ok", None),
        (INVALID, 0, "wrong", "ERROR SUMMARY: 1 error; Invalid __global__ read of size 2 bytes"),
        (RACE, 0, "wrong", "RACECHECK SUMMARY: 3 hazards displayed (2 errors, 1 warning); Error: Race reported"),
        (CLEAN, 1, "failed", "no error of memory, but the network ended with 1: triton: relative L2 error"),
        ("========= ERROR SUMMARY: 0 errors\nTypeError: x\n", 1, "failed", "ended with 1: TypeError: x"),
        ("========= Error: Device not supported\n", 255, "failed", "the tool ended with 255 and no summary"),
        ("", 1, "failed", "it wrote nothing"),
    ],
    ids=["clean", "invalid", "race", "numbers", "broke", "unsupported", "silent"],
)
def test_sanitizer_is_believed_only_with_its_summary_and_right_numbers(output, status, verdict, reason):
    row = checks.read_sanitizer(output, status)
    assert row["status"] == verdict
    assert row["reason"] is None if reason is None else reason in row["reason"]


def test_a_machine_without_the_sanitizer_says_so(monkeypatch):
    monkeypatch.setattr(checks, "find_sanitizer", lambda: None)
    row = checks.sanitize("memcheck", "triton", "graph", False)
    assert row["status"] == "not run" and "compute-sanitizer was found neither" in row["reason"]


def test_sanitizer_is_found_in_the_toolkit(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "compute-sanitizer"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert checks.find_sanitizer() == str(program)


def test_the_tool_is_put_before_the_network(monkeypatch):
    seen = []

    def run(command, **options):
        seen.append((command, options["env"].get("PYTORCH_NO_CUDA_MEMORY_CACHING")))
        return subprocess.CompletedProcess(command, 0, CLEAN, "")

    monkeypatch.setattr(checks, "find_sanitizer", lambda: "/cuda/bin/compute-sanitizer")
    monkeypatch.setattr(checks.subprocess, "run", run)
    monkeypatch.delenv("PYTORCH_NO_CUDA_MEMORY_CACHING", raising=False)
    assert checks.sanitize("racecheck", "triton", "graph", False)["status"] == "ok"
    assert checks.sanitize("memcheck", "triton", "tape", False)["status"] == "ok"
    assert seen[0][0][:5] == ["/cuda/bin/compute-sanitizer", "--tool", "racecheck", "--report-api-errors", "no"]
    assert seen[0][0][-5:] == [sys.executable, "-m", "benchmarks.gpu.small_net", "triton", "graph"]
    assert [uncached for _, uncached in seen] == [None, "1"]  # a graph needs torch's memory pool


def test_small_net_tells_its_error(capsys):
    assert small_net.main("reference", "graph", torch.device("cpu")) == 0
    assert capsys.readouterr().out.startswith("reference: relative L2 error ")


def test_small_net_tells_what_broke(capsys):
    assert small_net.main("no such executor", "graph", torch.device("cpu")) == 1
    assert "executor='no such executor' is not known" in capsys.readouterr().out


def test_small_net_plays_a_tape_kernel_by_kernel(capsys):
    assert small_net.main("reference", "tape", torch.device("cpu")) == 1
    assert "TypeError: the executor 'reference' keeps no tape" in capsys.readouterr().out
    played = []

    class Program:
        def __init__(self):
            self.tape = SimpleNamespace(
                load=played.extend, play=lambda: played.append("played"), results=lambda: [torch.ones(1)]
            )

        def run(self, inputs):
            raise AssertionError("the graph was asked for")

    fast = SimpleNamespace(program_for=lambda x: SimpleNamespace(run=Program().run))
    assert small_net.tape(fast, torch.zeros(1))[0].item() == 1.0
    assert [str(one) for one in played] == ["tensor([0.])", "played"]


def test_processes_of_tests_share_the_cores(monkeypatch, tmp_path):
    """torch.compile starts as many helpers as it is told, in each of them."""

    class Asked(Exception):
        pass

    def popen(command, env, **how):
        raise Asked(command, env)

    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(checks, "available_cores", lambda: 16)
    monkeypatch.setattr(checks.subprocess, "Popen", popen)
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "16")
    with pytest.raises(Asked) as asked:
        checks._pytest("tests/test_env.py", tmp_path / "told.jsonl", 1.0, 60.0)
    command, environment = asked.value.args
    assert command[-2:] == ["-n", "8"] and environment["TORCHINDUCTOR_COMPILE_THREADS"] == "2"


@pytest.mark.parametrize(
    ("status", "record", "line"),
    [
        (0, '{"kind": "cuda", "reasons": {}}', "extension: cuda ops"),
        (0, '{"kind": "cpu", "reasons": {"cuda": "no toolkit"}}', "extension: cpu ops (no cuda ops: no toolkit)"),
        (1, '{"kind": "cpu", "reasons": {}}', "extension: setup.py ended with status 1"),
        (0, None, "extension: setup.py ended with status 0"),
    ],
    ids=["cuda", "cpu", "failed", "no-record"],
)
def test_the_build_says_what_came_of_it(monkeypatch, tmp_path, status, record, line):
    path = tmp_path / "_build.json"
    if record:
        path.write_text(record)
    monkeypatch.setattr(build, "RECORD", path)
    assert build.outcome(status).startswith(line)


# stands for setup.py: tells what it was asked, and plays it
SETUP = """
import json, os, pathlib, subprocess, sys, time
kind, folder = os.environ["HRNET_FAST_BUILD"], pathlib.Path(sys.argv[1])
with open(folder / "asked", "a") as asked:
    print(kind, os.environ.get("TORCH_CUDA_ARCH_LIST"), file=asked)
(folder / "path").write_text(os.environ["PATH"])
if kind == sys.argv[2]:
    print("level.cu(3): error: identifier 'x' is undefined"), print("FAILED: level.o"), sys.exit(1)
if kind == sys.argv[3]:
    nvcc = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "nvcc").write_text(str(nvcc.pid))
    time.sleep(60)
(folder / "_build.json").write_text(json.dumps({"kind": kind, "reasons": {}}))
"""


@pytest.fixture
def setup(monkeypatch, tmp_path):
    """Lets the build of one kind fail and of another hang; gives what was asked of setup.py."""

    def play(fails="-", hangs="-"):
        monkeypatch.setattr(build, "COMMAND", (sys.executable, "-c", SETUP, str(tmp_path), fails, hangs))
        line = build.build_in_place()
        return line, [line.split() for line in (tmp_path / "asked").read_text().splitlines()]

    monkeypatch.setattr(build, "WORK", tmp_path)
    monkeypatch.setattr(build, "RECORD", tmp_path / "_build.json")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    monkeypatch.setenv("HRNET_FAST_BUILD", "auto")  # as make exports it
    return play


def test_where_there_is_a_gpu_the_cuda_ops_are_asked_for(setup):
    line, asked = setup()
    assert line.startswith("extension: cuda ops (") and asked == [["cuda", "9.0a"]]


def test_ninja_is_found_beside_a_python_that_is_not_on_the_path(setup, monkeypatch, tmp_path):
    """Else setup.py compiles one file after another, which takes longer than it is given."""
    monkeypatch.setenv("PATH", os.defpath)
    setup()
    folders = (tmp_path / "path").read_text().split(os.pathsep)
    assert folders == [sysconfig.get_path("scripts"), *os.defpath.split(os.pathsep)]


def test_a_build_that_lacks_cuda_says_why_and_leaves_the_c_ops(setup):
    line, asked = setup(fails="cuda")
    assert asked == [["cuda", "9.0a"], ["cpu", "9.0a"]] and line.startswith("extension: cpu ops (")
    assert "FAILED: cuda ops: level.cu(3): error: identifier 'x' is undefined" in line


def test_a_build_that_hangs_ends_with_all_that_it_started(setup, monkeypatch, tmp_path):
    monkeypatch.setitem(build.SECONDS, "cuda", 2.0)
    line, _ = setup(hangs="cuda")
    assert "FAILED: cuda ops: not compiled within 2 s" in line
    nvcc = int((tmp_path / "nvcc").read_text())
    for _ in range(50):
        state = Path(f"/proc/{nvcc}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    else:
        raise AssertionError("nvcc lives on")


def test_what_the_user_asks_for_is_built_alone(setup, monkeypatch):
    monkeypatch.setenv("HRNET_FAST_BUILD", "cpu")
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.0")
    assert setup()[1] == [["cpu", "8.0"]]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("HRNET_FAST_BUILD", "auto")
    assert setup()[1][1:] == [["auto", "8.0"]]


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_an_extension_without_cuda_is_told_loudly(monkeypatch, kind):
    loaded = SimpleNamespace(kind=kind, reason="no toolkit", build={"arches": "9.0a"})
    monkeypatch.setattr(kernels, "extension", lambda: loaded)
    row = build.extension_row()
    assert row["status"] == ("ok" if kind == "cuda" else "failed") and row["arches"] == "9.0a"
    if kind == "cpu":
        assert row["reason"].startswith("THE CUDA OPS ARE MISSING") and row["reason"].endswith(": no toolkit")
        assert build.extension_row("FAILED: x")["reason"].endswith(": FAILED: x")


def test_a_python_without_setuptools_builds_nothing(monkeypatch):
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    assert build.build_in_place() == "extension: not compiled, as this Python has no setuptools"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["PY=python9"], "python9 -m benchmarks.gpu --budget 540 --build"),
        (
            ["PY=python9", "PARTS=micro,ours", "BUDGET=60"],
            "python9 -m benchmarks.gpu --parts micro,ours --budget 60 --build",
        ),
        (["ARGS=--dry-run"], ".venv/bin/python -m benchmarks.gpu --budget 540 --dry-run"),
    ],
    ids=["own-python", "parts", "venv"],
)
def test_make_runs_the_report(words, wanted):
    command = ["make", "--no-print-directory", "-n", "gpu-report", *words]
    done = subprocess.run(command, cwd=checks.ROOT, capture_output=True, text=True, check=True)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[-1] == wanted
    assert not any("pip install" in line for line in lines if "PY=python9" in words)

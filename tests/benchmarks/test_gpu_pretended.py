"""The whole report where torch only pretends to have a GPU: what first runs on a real one must not fail on a typo.

Tensors live on the CPU but say that they are on "cuda"; events, streams and graphs are stand-ins that keep torch's
rules: an event must be recorded before it is read, a graph captured before it is replayed, and nothing replayed in a
capture.
"""

from __future__ import annotations

import json
import os
import threading
import types
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import hrnet_fast
from benchmarks.compare import Question
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import baselines, cudnn, empty_kernel, kept, levels, micro, networks, ours, timing, worker
from benchmarks.gpu import workloads as workloads_module
from benchmarks.gpu.jobs import Job
from benchmarks.gpu.store import read_report
from benchmarks.gpu.workloads import DRY_RUN
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.engine.gpu.tune import TileTuning, TunedTiles
from hrnet_fast.engine.module import OptimizedModule
from hrnet_fast.plan.cost import Machine
from tests.benchmarks.pretended_gpu import CPU, CUDA, EmptyKernel, Event, Gpu, OnCuda, conv_add_relu, conv_relu


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """Pretends a GPU, shrinks what is measured on it, and keeps all files in tmp_path."""
    state = Gpu()

    class Graph:
        captured = False

        def replay(self):
            assert self.captured and not state.capturing

    @contextmanager
    def capture(graph, **options):
        assert not state.capturing
        state.capturing = True
        yield
        state.capturing, graph.captured = False, True

    @contextmanager
    def stream(which):
        yield

    def synchronize(device=None):
        assert not state.capturing
        if state.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def sleep(ticks):
        state.sleeps += 1

    one = types.SimpleNamespace(wait_stream=lambda other: None)
    properties = types.SimpleNamespace(
        name="NVIDIA H200", major=9, minor=0, multi_processor_count=132, total_memory=140 << 30, L2_cache_size=60 << 20
    )
    stand_ins = {
        "is_available": lambda: True, "synchronize": synchronize, "_sleep": sleep, "Event": Event, "CUDAGraph": Graph,
        "graph": capture, "stream": stream, "device": stream, "is_current_stream_capturing": lambda: state.capturing,
        "Stream": lambda: one, "current_stream": lambda: one,
        "empty_cache": lambda: None, "memory_reserved": lambda device: 10, "max_memory_reserved": lambda device: 1010,
        "reset_peak_memory_stats": synchronize, "get_device_properties": lambda index: properties,
        "get_device_capability": lambda device=None: (9, 0), "get_device_name": lambda device=None: "NVIDIA H200",
    }  # fmt: skip
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91000)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", conv_relu, raising=False)
    monkeypatch.setattr(torch, "cudnn_convolution_add_relu", conv_add_relu, raising=False)
    monkeypatch.setattr(empty_kernel, "empty_kernel", EmptyKernel(state))
    built = {"name": "CUDA ops", "status": "ok", "reason": None}
    monkeypatch.setattr(command, "extension_row", lambda told: built)
    for module, name, value in [
        (micro, "CHAIN", (2, 4)), (micro, "COPIES", (1,)), (micro, "SIZE", 64), (micro, "BRIEF", micro.DRY),
        (baselines, "FULL", baselines.DRY), (ours, "FULL", ours.DRY), (cudnn, "BRIEF", micro.DRY),
        (workloads_module, "WORKLOADS", DRY_RUN), (workloads_module, "DTYPES", ("float32",)),
        (ours, "GROUPS", ((("reference",), 90, True),)), (levels, "EXPECTED_S", {"reference": 45}),
        (networks, "WORK", tmp_path),
    ]:  # fmt: skip
        monkeypatch.setattr(module, name, value)
    small = cudnn.shapes(True)
    monkeypatch.setattr(cudnn, "shapes", lambda dry_run: small)
    monkeypatch.setattr(levels, "machine", lambda device, dtype: Machine("pretended", 790e12, 4.3e12))
    ask = networks.ask

    def ask_on_cuda(case, device):  # in a thread of its own
        with OnCuda():
            return ask(case, device)

    monkeypatch.setattr(networks, "ask", ask_on_cuda)
    networks.question.cache_clear()
    with OnCuda():
        yield state
    networks.question.cache_clear()


def inline(job, deadline, keep, environment):
    """In place of a child process."""
    missing = set(job.names)

    def emit(row):
        keep(json.loads(json.dumps(row, allow_nan=False)))
        missing.discard(row["name"])

    with OnCuda():
        worker.work(job, emit)
    return missing


def report_of(tmp_path, *words):
    """The exit status, and the report without what it says of the build."""
    status = command.main([*words, "--out", str(tmp_path)], child=inline)
    (path,) = tmp_path.glob("gpu-*.json")
    report = read_report(path)
    build, *report["rows"] = report["rows"]
    assert build["part"] == "build"
    return status, report


def test_micro_measures_launches_copies_products_and_cudnn(gpu, tmp_path):
    status, report = report_of(tmp_path, "--parts", "micro,cudnn")
    rows = {row["name"]: row for row in report["rows"]}
    assert status == 0 and {row["status"] for row in rows.values()} == {"ok"}
    assert {"launch", "launch, dependent", "launch of torch's fill", "copy 1 MiB", "matrix product TF32"} <= set(rows)
    assert set(rows["cuDNN b1 8>16 7x5 3x3/2 f32"]["forms"]) == {
        "conv", "conv, relu", "conv, add, relu", "fused relu", "fused add relu",
    }  # fmt: skip
    assert gpu.sleeps > 0 and report["device"]["capability"] == "9.0"


def test_a_warm_up_does_not_run_ahead_of_the_gpu(gpu, monkeypatch):
    """Else a thousand graphs of a large network wait, and whoever measures waits for them."""
    waiting, most = [], []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waiting.clear())

    def call():
        waiting.append(0)
        most.append(len(waiting))

    timing.isolated(call, CUDA, timing.Effort(samples=1, seconds=0.0, most=1, warm_up=0.02))
    assert len(most) > 3 and max(most) == 1


def test_a_fused_form_with_wrong_numbers_is_not_timed(gpu, monkeypatch):
    monkeypatch.setattr(torch, "cudnn_convolution_relu", lambda *given: conv_relu(*given) * 1.01)
    monkeypatch.setattr(torch, "cudnn_convolution_add_relu", lambda *given: conv_add_relu(*given) * float("nan"))
    row = cudnn.measure(cudnn.ConvShape(1, 8, 8, 6, 4, dtype="float32"), CUDA, micro.DRY)
    assert set(row["forms"]) == {"conv", "conv, relu", "conv, add, relu"}
    assert "relative L2 error 1.0e-02" in row["reasons"]["fused relu"] and "nan" in row["reasons"]["fused add relu"]


def test_kernels_that_run_out_of_order_are_no_measurement(gpu, monkeypatch, tmp_path):
    class Idle(EmptyKernel):
        def __getitem__(self, grid):
            return lambda *given, **options: None

    monkeypatch.setattr(empty_kernel, "empty_kernel", Idle(gpu))
    _, report = report_of(tmp_path, "--parts", "micro", "--only", "launch")
    (row,) = report["rows"]
    assert row["status"] == "failed" and "the memory holds [0, 0, 0, 0], not 1" in row["reason"]


def test_older_gpus_have_no_dependent_launch(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 0))
    _, report = report_of(tmp_path, "--parts", "micro", "--only", "launch, dependent")
    assert [row["status"] for row in report["rows"]] == ["not run"]


def test_baselines_are_checked_and_timed_with_their_graphs(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    monkeypatch.setattr(baselines, "_MODES", (("default", True), ("reduce-overhead", False)))
    monkeypatch.setattr(baselines, "_TUNED", (("max-autotune", True),))
    status, report = report_of(tmp_path, "--parts", "baselines")
    rows = {row["name"].partition(": ")[2]: row for row in report["rows"]}
    compiled = {f"torch.compile {mode}" for mode in ("freezing", "reduce-overhead", "max-autotune freezing")}
    assert status == 0 and set(rows) == {*baselines.EAGER, *compiled}
    assert all(row["status"] == "ok" and row["memory_bytes"] == 1000 for row in rows.values())
    graphed = {name for name, row in rows.items() if "replay_p50_us" in row}
    assert graphed == {"CUDA-graphed eager", "torch.compile freezing"}


def test_ours_is_checked_and_timed_with_its_graph(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(ours, "bare_replay", lambda fast, x: lambda: None)
    monkeypatch.setattr(ReferenceExecutor, "verdict", lambda self, plan: "fastest of two", raising=False)
    status, report = report_of(tmp_path, "--parts", "ours")
    (row,) = report["rows"]
    assert status == 0 and row["status"] == "ok" and row["executor"] == "reference" and row["levels"] > 20
    assert row["chosen"] == "fastest of two"
    assert row["p50_us"] > row["replay_p50_us"] and row["error"] <= 2 * row["error_torch"]


def test_tuning_is_told_and_kept_for_the_next(gpu, monkeypatch, tmp_path, capsys):
    folders = []

    def tune(self, x, seconds):
        assert 1.0 <= seconds <= ours.TO_TUNE
        folders.append(os.environ["HRNET_FAST_CACHE"])
        Path(folders[-1]).mkdir()
        Path(folders[-1], "tiles.json").write_text("{}")
        times = {"level": (3.0, 2.0), "refused": (float("inf"), 1.0), "hopeless": (float("inf"), float("inf"))}
        found = TileTuning({name: TunedTiles(None, us, model_us) for name, (model_us, us) in times.items()})
        found.left = 4
        return found

    monkeypatch.setattr(OptimizedModule, "tune", tune, raising=False)
    monkeypatch.setattr(ours, "TUNED_GROUPS", ((("auto tuned", "triton tuned"), 150, False),))
    optimize = hrnet_fast.optimize
    monkeypatch.setattr(
        hrnet_fast, "optimize", lambda *given, **how: optimize(*given, **{**how, "executor": "reference"})
    )
    for module in (ours, command):
        monkeypatch.setattr(module, "TUNING", tmp_path / "tuning")
    monkeypatch.setattr(kept, "WORK", tmp_path)
    status, report = report_of(tmp_path, "--parts", "tuned", "--mirror", str(tmp_path / "mirror"))
    rows = {row["name"].partition(": ")[2]: row for row in report["rows"]}
    assert status == 0 and "tuned" not in rows["auto tuned"] and folders == [str(tmp_path / "tuning")]
    assert rows["triton tuned"]["tuned"] | {"seconds": 0} == {
        "seconds": 0, "levels": 1, "left": 4, "refused": 2, "before_us": 3.0, "us": 2.0,
    }  # fmt: skip
    assert ", 4 levels left, 2 refused as modelled" in capsys.readouterr().out
    assert (tmp_path / "mirror" / "tiles.json").read_text() == "{}" and (tmp_path / "mirror" / kept.NAME).exists()
    assert "HRNET_FAST_CACHE" not in os.environ or os.environ["HRNET_FAST_CACHE"] not in folders


def test_what_a_part_leaves_outlives_a_machine_that_is_taken_in_the_next(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(kept, "WORK", tmp_path / "work")
    (tmp_path / "work/logs").mkdir(parents=True)

    def child(job, deadline, keep, environment):
        if job.part == "cudnn":
            raise SystemExit(143)
        (tmp_path / "work/logs/micro.log").write_text("words")
        return inline(job, deadline, keep, environment)

    folders = ["--out", str(tmp_path), "--mirror", str(tmp_path / "mirror")]
    with pytest.raises(SystemExit):
        command.main(["--parts", "micro,cudnn", *folders], child=child)
    assert (tmp_path / "mirror" / kept.NAME).exists()


def test_untuned_rows_start_from_an_empty_cache(monkeypatch):
    monkeypatch.setenv("HRNET_FAST_CACHE", "mine")
    with ours.cache(tuned=False):
        assert list(Path(os.environ["HRNET_FAST_CACHE"]).iterdir()) == []
    assert os.environ["HRNET_FAST_CACHE"] == "mine"


def test_the_bare_graph_is_found_where_a_program_keeps_one(gpu):
    graph = types.SimpleNamespace(replay=lambda: None)

    class Program:
        def __init__(self, graph):
            self.graph = graph

        def run(self, inputs):
            return inputs

    class Fast:
        def __init__(self, run):
            self.program_for = lambda x: types.SimpleNamespace(run=run)

    assert ours.bare_replay(Fast(Program(graph).run), torch.zeros(1)) is graph.replay
    assert ours.bare_replay(Fast(Program(None).run), torch.zeros(1)) is None
    assert ours.bare_replay(Fast(lambda inputs: inputs), torch.zeros(1)) is None


def test_levels_are_held_against_the_roofline(gpu, monkeypatch, tmp_path, capsys):
    every = lambda self, x: [(index, 2.5) for index in range(len(self.plan_for(x).levels))]  # noqa: E731
    monkeypatch.setattr(OptimizedModule, "profile", every, raising=False)
    status, report = report_of(tmp_path, "--parts", "profile")
    (row,) = report["rows"]
    assert status == 0 and row["roofline"] == "pretended" and len(row["levels"]) == 25
    assert row["levels"][0] | {"roofline_us": 0} == {
        "level": 0, "us": 2.5, "roofline_us": 0, "flops": row["levels"][0]["flops"], "bytes": row["levels"][0]["bytes"],
        "items": "3x3/2 3>64 32x32", "how": row["levels"][0]["how"],
    }  # fmt: skip
    assert row["levels"][0]["flops"] == 2 * 64 * 32 * 32 * 3 * 9 and row["levels"][0]["roofline_us"] > 0
    assert "25 levels, 62.5 us; roofline" in capsys.readouterr().out


def test_a_gpu_that_is_lost_ends_the_child(gpu):
    rows = []

    def lose(row):
        rows.append(row)
        gpu.broken = True

    assert worker.work(Job("micro", ("matrix product TF32", "copy 1 MiB"), ("product:TF32", "copy:1")), lose) is False
    assert [row["name"] for row in rows] == ["matrix product TF32"]


def test_missing_cuda_ops_are_the_first_thing_that_is_not_as_it_should_be(gpu, monkeypatch, tmp_path, capsys):
    missing = {"name": "CUDA ops", "status": "failed", "reason": "THE CUDA OPS ARE MISSING: no toolkit"}
    monkeypatch.setattr(command, "extension_row", lambda told: missing)
    monkeypatch.setattr(ours, "GROUPS", ((("no such executor",), 90, True),))
    assert report_of(tmp_path, "--parts", "micro", "--only", "launch")[0] == 1
    report_of(tmp_path, "--parts", "ours")
    after = capsys.readouterr().out.rpartition("not as it should be\n")[2]
    assert after.startswith("  build, CUDA ops: failed: THE CUDA OPS ARE MISSING: no toolkit\n  ours, ")


def test_float64_answers_do_not_try_every_algorithm(gpu, monkeypatch):
    tried = []
    exact = cudnn._exact
    monkeypatch.setattr(cudnn, "_exact", lambda *given: tried.append(torch.backends.cudnn.benchmark) or exact(*given))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    cudnn.measure(cudnn.ConvShape(1, 8, 8, 6, 4, dtype="float32"), CUDA, micro.DRY)
    assert tried == [False] * 3 and torch.backends.cudnn.benchmark


def test_what_float64_answers_choose_of_cudnn_is_not_what_runners_get(tmp_path, monkeypatch):
    """torch keeps the algorithms of convolutions by thread, those chosen without trials too."""
    asked = []

    def ask(case, device):
        asked.append((threading.get_ident(), torch.backends.cudnn.benchmark))
        return Question(None, None, [torch.ones(1)], 0.1)

    monkeypatch.setattr(networks, "WORK", tmp_path)
    monkeypatch.setattr(networks, "ask", ask)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    networks.question.cache_clear()
    workload = DRY_RUN[0]
    assert networks.question(workload.case("float32"), CPU).error_torch == 0.1
    networks.question.cache_clear()
    ((thread, with_trials),) = asked
    assert thread != threading.get_ident() and not with_trials and torch.backends.cudnn.benchmark


def test_our_failure_is_reported_and_ends_with_a_status(gpu, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(ours, "GROUPS", ((("no such executor",), 90, True),))
    status, report = report_of(tmp_path, "--parts", "ours")
    assert status == 1 and report["rows"][0]["status"] == "failed"
    assert "executor='no such executor' is not known" in capsys.readouterr().out

"""The gate: a runner that is wrong is never timed, and what cannot run says why."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import benchmarks.compare as compare_module
from benchmarks.cases import Case
from benchmarks.compare import Question, compare, judge
from benchmarks.progress import Progress
from benchmarks.runners import Runner
from benchmarks.sources import our_code
from benchmarks.text import in_short

real_ask = compare_module.ask
CASE = Case("a model", 8, 8, 1, "float32")


class Tiny(nn.Module):
    """Doubles its input; `calls` counts how often that is asked."""

    def forward(self, x):
        return 2 * x


class Stub(Runner):
    """Returns the right answer scaled by `factor`, and counts its calls."""

    settings = "for tests"

    def __init__(self, name="stub", factor=1.0, refuses=None, breaks=None):
        self.name, self.factor, self.refuses, self.breaks = name, factor, refuses, breaks
        self.calls = 0

    def refusal(self, dtype, device):
        return self.refuses

    def build(self, model, x, dtype):
        if self.breaks:
            raise self.breaks
        model.spoiled = True

        def call():
            self.calls += 1
            return model(x) * self.factor

        return call


@pytest.fixture(autouse=True)
def tiny_question(monkeypatch):
    """A question whose answer is known; plain torch is off by 1e-7, or by 1e-2 in bfloat16."""

    def ask(case, device):
        x = torch.ones(1, 3, 8, 8, dtype=case.torch_dtype)
        return Question(Tiny(), x, [2 * x.double()], 1e-7 if case.dtype == "float32" else 1e-2)

    monkeypatch.setattr(compare_module, "ask", ask)
    memory = SimpleNamespace(building_done=lambda: None, bytes=lambda: 1)  # test_peak_memory.py has the real one
    monkeypatch.setattr(compare_module, "PeakMemory", lambda device: memory)


def run(ours, *rivals, case=CASE, left_out=None):
    return compare(
        case, ours, rivals, device=torch.device("cpu"), seconds=0.01, left_out=left_out or {},
        progress=Progress(io.StringIO()),
    )  # fmt: skip


@pytest.mark.parametrize("errors", [(1e-7, 3e-7), (3e-7, 1e-7)])
def test_plain_torchs_error_is_the_larger_one_of_its_two_memory_formats(errors, monkeypatch):
    found = iter(errors)
    monkeypatch.setattr(compare_module, "relative_l2", lambda outputs, want: next(found))
    asked = real_ask(Case("hrnet_w18_small.features", 32, 32, 1, "float32"), torch.device("cpu"))
    assert asked.error_torch == 3e-7


def test_right_runners_are_timed():
    done = run(Stub("ours"), Stub("rival"))
    assert [(row.executor, row.status) for row in done.rows] == [("ours", "ok"), ("rival", "ok")]
    assert all(row.p10_us <= row.p50_us <= row.p90_us <= row.p99_us and row.samples >= 9 for row in done.rows)
    assert done.our_call is not None and done.rows[0].error == 0


def test_wrong_rival_is_named_with_its_error_and_not_timed():
    wrong = Stub("wrong", factor=1.001)
    done = run(Stub("ours"), wrong)
    row = done.rows[1]
    assert (row.status, row.p50_us, row.samples) == ("wrong", None, 0)
    assert row.error == pytest.approx(1e-3, rel=1e-3) and "worst element" in row.reason
    assert wrong.calls == 2, "one call to build, one to check, none to time"


def test_ours_wrong_leaves_nothing_to_time():
    ours = Stub("ours", factor=float("nan"))
    done = run(ours, Stub("rival"))
    assert done.rows[0].status == "wrong" and done.our_call is None
    assert done.rows[1].status == "ok"


def test_errors_of_ours_are_raised_and_those_of_rivals_told():
    broken = RuntimeError("\nno such kernel\ndetails")
    assert run(Stub("ours"), Stub("rival", breaks=broken)).rows[1].reason == "RuntimeError: no such kernel"
    with pytest.raises(RuntimeError, match="no such kernel"):
        run(Stub("ours", breaks=broken))


def test_ours_among_the_rivals_is_held_to_the_tolerance_too():
    case = Case("a model", 8, 8, 1, "bfloat16")
    other = Stub("ours exact", factor=1.05)
    other.is_ours = True
    assert run(Stub("ours"), other, case=case).rows[1].status == "wrong"


def test_a_row_says_what_ran_and_which_sources():
    told = Stub("rival")
    told._tell = lambda: "7 convolutions in f32"
    rows = run(Stub("ours"), told).rows
    assert [row.ran for row in rows] == [None, "7 convolutions in f32"]
    assert {row.code for row in rows} == {our_code()} and all(row.commit for row in rows)


def test_rivals_that_do_not_run_are_listed_with_the_reason():
    done = run(Stub("ours"), Stub("absent", refuses="not installed"), Stub("slow"), left_out={"slow": "takes too long"})
    assert [(row.status, row.reason) for row in done.rows[1:]] == [
        ("not run", "not installed"), ("not run", "takes too long"),
    ]  # fmt: skip


def test_no_runner_can_spoil_the_model_of_another():
    class Watch(Stub):
        def build(self, model, x, dtype):
            assert not hasattr(model, "spoiled")
            return super().build(model, x, dtype)

    assert [row.status for row in run(Stub("ours"), Watch("a"), Watch("b")).rows] == ["ok"] * 3


@pytest.mark.parametrize(
    ("dtype", "is_ours", "factor", "status"),
    [
        ("bfloat16", False, 1.019, "ok"),
        ("bfloat16", False, 1.05, "outside tolerance"),
        ("bfloat16", False, 1.2, "wrong"),
        ("bfloat16", False, float("inf"), "wrong"),
        ("bfloat16", True, 1.05, "wrong"),
        ("float32", False, 1.05, "wrong"),
    ],
)
def test_only_a_mild_error_of_a_rival_in_reduced_precision_is_forgiven(dtype, is_ours, factor, status):
    x = torch.ones(1, 3, 8, 8)
    question = Question(Tiny(), x, [2 * x.double()], error_torch=1e-2)
    assert judge(2 * x * factor, question, dtype, is_ours)[0] == status


def test_wrong_shape_is_wrong():
    x = torch.ones(1, 3, 8, 8)
    status, reason, error = judge(x[:, :2], Question(Tiny(), x, [x.double()], 1.0), "bfloat16", False)
    assert (status, error) == ("wrong", None) and "shapes" in reason


def test_what_is_outside_tolerance_is_timed_with_its_mark():
    case = Case("a model", 8, 8, 1, "bfloat16")
    row = run(Stub("ours"), Stub("rival", factor=1.05), case=case).rows[1]
    assert row.status == "outside tolerance" and row.p50_us > 0 and "is allowed" in row.reason


def test_progress_in_a_log_has_one_line_a_step():
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.step("build"), progress.bar("time") as update:
        update(0.5)
    lines = stream.getvalue().splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["time", "build"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("", "no message"),
        ("\nwhy\nwhere", "why"),
        ("it raised:\n\nwhy\nwhere", "it raised: why"),
        ("raised:", "raised:"),
        ("x" * 400, "x" * 288),
    ],
)
def test_an_error_in_short(message, told):
    assert in_short(ValueError(message)) == f"ValueError: {told}"


def test_progress_on_a_terminal_shows_the_step_while_it_runs():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with Progress(stream).bar("time") as update:
        assert "time …" in stream.getvalue()
        update(0.5)
        assert " 50%" in stream.getvalue()

"""What a model takes in memory: children, their check, and the tables."""

from __future__ import annotations

import pytest
import torch

from benchmarks.cases import Case
from benchmarks.compare import Question, ask
from benchmarks.memory import measure as measure_module
from benchmarks.memory.__main__ import main
from benchmarks.memory.measure import Row, measure
from benchmarks.memory.report import markdown, terminal_table
from benchmarks.runners import HrnetFast, Plain
from benchmarks.sheet import Made, Sheet

CASE = Case("hrnet_w18_small.pose_coco_256x192", 64, 96, 1, "float32")


def a_row(runner: str, peak: int | None = None, reason: str | None = None, batch: int = 1) -> Row:
    status = "not run" if reason else "ok"
    sizes = (peak, peak and peak // 2, peak and peak // 4)
    made = Made("0123456789", "abc", None)
    return Row(
        CASE.model, CASE.size, batch, "float32", runner, status, reason, None if reason else 2e-7, 1e-7, *sizes, made
    )


@pytest.fixture
def sheet() -> Sheet:
    rows = (a_row("hrnet_fast", 100_000_000), a_row("OpenVINO", 200_000_000), a_row("plain", reason="not installed"))
    return Sheet("memory", "", rows=(*rows, a_row("hrnet_fast", 300_000_000, batch=16)))


def answering(factor: float):
    """A question whose outputs are known, and a child that answers them times `factor`."""
    want = torch.ones(1, 2, dtype=torch.float64)

    def child(case, runner, file):
        torch.save([factor * want.float()], file)
        return {"building": 3, "running": 2, "kept": 1}

    return Question(torch.nn.Identity(), want, [want], 1e-7), child


def test_a_fresh_process_answers_right_and_says_what_it_took():
    row = measure(CASE, HrnetFast(), ask(CASE, torch.device("cpu")))
    assert row.status == "ok" and row.error < 2 * row.error_torch
    assert 4_000_000 < row.kept <= row.peak < 1_000_000_000  # its weights are 5 MB


@pytest.mark.parametrize(("factor", "status", "peak"), [(1.0, "ok", 3), (1.001, "wrong", None)])
def test_wrong_numbers_have_no_size(monkeypatch, factor, status, peak):
    question, child = answering(factor)
    monkeypatch.setattr(measure_module, "_child", child)
    row = measure(CASE, Plain(), question)
    assert (row.status, row.peak) == (status, peak)


def test_a_child_that_fails_says_how_and_ours_is_raised(monkeypatch):
    monkeypatch.setattr(measure_module, "ROOT", measure_module.ROOT / "benchmarks")  # where no package is found
    question, _ = answering(1.0)
    row = measure(CASE, Plain(), question)
    assert row.status == "failed" and row.reason.startswith("its process ended with 1: ") and row.peak is None
    with pytest.raises(ValueError, match=r"hrnet_fast, .*: its process ended with 1"):
        measure(CASE, HrnetFast(), question)


def test_what_does_not_run_is_refused_before_a_process_starts(monkeypatch):
    monkeypatch.setattr(measure_module, "_child", None)
    runner = Plain()
    monkeypatch.setattr(runner, "needs", ("no_such_module",), raising=False)
    assert measure(CASE, runner, answering(1.0)[0]).reason == "not installed (pip install no_such_module)"


def test_tables(sheet):
    text, table = terminal_table(sheet), markdown(sheet).splitlines()
    assert max(map(len, text.splitlines())) <= 100
    (line,) = (line for line in text.splitlines() if line.startswith("  OpenVINO "))
    assert line.split() == ["OpenVINO", "200", "100", "50", "0.50x", "this", "2.0e-07"]
    assert "plain: not run: not installed" in text and "do not rely" not in text
    first, _, *lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert first == ["peak MB (kept after the call)", "hrnet_fast", "OpenVINO"]
    assert [line[1:] for line in lines] == [["**100** (25)", "200 (50)"], ["**300** (75)", "-"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models", "resnet50"], "no model matches 'resnet50'"),
        (["--batch", "two"], "--batch takes whole numbers from 1, not 'two'"),
        (["--dtype", "int8"], "dtype 'int8' is not one of"),
        (["--rivals", "plain, openvino, tensorrt"], "no rival matches 'tensorrt'"),
    ],
    ids=["models", "batch", "dtype", "rivals"],
)
def test_bad_options_end_with_one_sentence(words, message, capsys):
    assert main(words) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1

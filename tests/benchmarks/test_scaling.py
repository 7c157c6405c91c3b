"""Time over batches and sizes: the points, their check, their table and their picture."""

from __future__ import annotations

import pytest
import torch

from benchmarks import compare
from benchmarks.cases import Case
from benchmarks.compare import Question
from benchmarks.scaling.__main__ import main
from benchmarks.scaling.measure import SERIES, Point, check
from benchmarks.scaling.report import draw, markdown, series, terminal_table, worst
from benchmarks.sheet import Made, Sheet, read_sheet
from hrnet_fast import list_models

MODEL = "hrnet_w18_small.seg_cityscapes"


def a_point(along: str, batch: int, size: str, us: float, gflop: float) -> Point:
    made = Made("0123456789", "abc", 0.0)
    return Point(MODEL, "float32", along, batch, size, 0.5, 0.1, us, 9, gflop, 2e-7, 1e-7, made)


@pytest.fixture
def sheet() -> Sheet:
    by_batch = [a_point("batch", n, "256x192", 10_000.0 * n, 5.0 * n) for n in (4, 1, 2)]
    by_size = [a_point("size", 1, size, us, gflop) for size, us, gflop in (("64x64", 1e3, 1.0), ("128x64", 6e3, 2.0))]
    return Sheet("scaling", "", rows=(*by_batch, *by_size))


def test_series_reach_from_one_image_to_sixty_four_and_to_two_megapixels():
    assert {one.model for one in SERIES} <= set(list_models())
    for one in SERIES:
        points = list(one.points())
        assert {batch for along, batch, *_ in points if along == "batch"} >= {1, 16, 64}
        assert (1, 1024, 2048) in {point[1:] for point in points}
        assert len(set(points)) == len(points)


def test_the_steepest_step_tells_a_cliff(sheet):
    by_batch, by_size = series(sheet)
    assert [point.batch for point in by_batch] == [1, 2, 4]
    assert worst(by_batch) == 1.0 and worst(by_size) == pytest.approx(3.0)


def test_tables_and_picture(sheet, tmp_path):
    text, table = terminal_table(sheet), markdown(sheet).splitlines()
    assert max(map(len, text.splitlines())) <= 100
    (line,) = (line for line in text.splitlines() if line.startswith("  batch 4"))
    assert line.split() == ["batch", "4", "10.0", "40.0", "500", "0.50", "0.10", "9"]
    assert "at most 3.00x what it takes" in text and "2.0e-07 (plain torch 1.0e-07)" in " ".join(text.split())
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:]]
    assert lines[:3] == [
        ["w18_small.seg_cityscapes, float32", "256x192", "1", "10.0", "1.00x", "0.50"],
        ["", "256x192", "2", "10.0", "", ""], ["", "256x192", "4", "10.0", "", ""],
    ]  # fmt: skip
    assert lines[3][4] == "3.00x"
    assert draw(sheet, tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_measures_every_point(tmp_path, capsys):
    options = ["--cases", "seg", "--most", "0.01", "--threads", "1", "--seconds", "0.01", "--out", str(tmp_path)]
    assert main(options) == 0
    text = capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    (point,) = read_sheet(path, Point).rows
    assert (point.model, point.size, point.along) == (MODEL, "64x128", "size") and f"{MODEL}, float32, by size" in text
    assert point.us > 0 and point.optimize_s > 0 and point.samples >= 3 and point.gflop > 0.1
    assert path.with_suffix(".png").exists()


def test_wrong_numbers_are_not_timed(monkeypatch):
    asked = compare.ask(Case(MODEL, 64, 64, 1, "float32"), torch.device("cpu"))
    wrong = Question(asked.model, asked.x, [1.001 * want for want in asked.want], asked.error_torch)
    monkeypatch.setattr(compare, "ask", lambda case, device: wrong)
    with pytest.raises(ValueError, match="is wrong, so nothing was timed"):
        check(MODEL, "float32")


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--cases", "resnet"], "no model holds 'resnet'"), (["--most", "0.0001"], "no point has 0.0001 megapixels")],
    ids=["cases", "most"],
)
def test_nothing_to_measure_is_refused(words, message, capsys):
    assert main(words) == 1
    assert message in capsys.readouterr().err

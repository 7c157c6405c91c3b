"""The levels of a network: measured after a check, grouped, and beside their floors."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks import compare
from benchmarks.cases import Case
from benchmarks.compare import Question
from benchmarks.levels.__main__ import main
from benchmarks.levels.measure import Network, measure
from benchmarks.levels.report import compact, draw, groups, markdown, summary, terminal_table
from benchmarks.sheet import Made, Sheet, read_sheet
from hrnet_fast.engine import profile

MODEL = "hrnet_w18_small.pose_coco_256x192"


def level(what: str, us: float, compute_us: float = 1.0, memory_us: float = 2.0, flops: int = 4000) -> dict:
    how = "native: AVX-512: 1 direct, in float32"
    return {"what": what, "how": how, "us": us, "flops": flops, "compute_us": compute_us, "memory_us": memory_us}


@pytest.fixture
def network() -> Network:
    levels = [
        level("3x3 32>32 64x48", 10.0),
        level("3x3/2 3>64 " + "64x48 " * 20, 25.0, 20.0),
        level("sum", 1.0, flops=0),
    ]
    levels += [level("3x3 32>32 64x48", 20.0)]
    made = Made("0123456789", "abc", 0.0)
    return Network(MODEL, "64x48", 1, "float32", False, 2e-7, 1e-7, 50.0, "this CPU (0.4 TFLOP/s)", levels, made)


@pytest.fixture
def briefly(monkeypatch):
    monkeypatch.setattr(profile, "SECONDS", 0.01)


def test_equal_levels_are_one_group_and_the_longest_comes_first(network):
    found = groups(network)
    assert [(group.count, group.us, group.floor_us) for group in found] == [(2, 30, 4), (1, 25, 20), (1, 1, 2)]
    assert "4 levels one by one 0.06 ms, the whole network 0.05 ms; floors 0.03 ms (1.92x)" in summary(network)
    assert "of computing alone 0.02 ms (2.17x)" in summary(network)


def test_the_table_fits_a_terminal(network):
    text = terminal_table(Sheet("levels", "", rows=(network,)))
    assert max(map(len, text.splitlines())) <= 100
    (line,) = (line for line in text.splitlines() if line.startswith("  2x"))
    assert line.split() == ["2x", "3x3", "32@64x48", "0.03", "54%", "15", "1", "2", "7.50", "0"]
    assert "0.4 TFLOP/s" in text and text.count("AVX-512: 1 direct") == 1


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("3x3 32>32 64x48, 3x3 64>64 32x24", "3x3 32@64x48 64@32x24"),
        ("3x3 32>320 64x48, 3x3/2 256>64 32x24", "3x3 32>320@64x48, 3x3/2 256>64@32x24"),
        ("sum 32 64x48, 2x 3x3/2 48>48 48x36, 3x3/2 48>96 24x18", "sum 32@64x48, 2x 3x3/2 48@48x36, 3x3/2 48>96@24x18"),
        ("1x1 (+1^3 relu) 32>17 64x48", "1x1 (+1^3 relu) 32>17@64x48"),
        ("linear 2048>1000, softmax", "linear 2048>1000, softmax"),
    ],
    ids=["equal", "channels", "kinds", "more", "other"],
)
def test_items_of_a_level_are_told_in_short(what, shown):
    assert compact(what) == shown


def test_readme_and_picture(network, tmp_path):
    several = tuple(dataclasses.replace(network, batch=batch) for batch in (1, 2))
    table = markdown(Sheet("levels", "", rows=several), most=2).splitlines()
    first, *others = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line[:1] == "|"][2:]
    assert first == ["2x 3x3 32@64x48", "0.03", "54%", "15", "1, 2", "0"] and len(others) == 1
    assert [line.split(":")[0] for line in table[-2:]] == [f"- {one.title}" for one in several]
    path = draw(Sheet("levels", "", rows=several), tmp_path / "levels.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_command_measures_every_level(briefly, tmp_path, capsys):
    options = ["--size", "64x96", "--threads", "1", "--seconds", "0.01", "--out", str(tmp_path)]
    assert main([MODEL, *options]) == 0
    text = capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    (network,) = read_sheet(path, Network).rows
    assert network.title in text and max(map(len, text.splitlines()[:-1])) <= 100
    assert network.whole_us > 0 and all(one["us"] > 0 and one["compute_us"] >= 0 for one in network.levels)
    assert any("3x3 16>16" in one["what"] for one in network.levels) and path.with_suffix(".png").exists()


def test_wrong_numbers_are_not_timed(briefly, monkeypatch, capsys):
    asked = compare.ask(Case(MODEL, 64, 64, 1, "float32"), torch.device("cpu"))
    wrong = Question(asked.model, asked.x, [1.001 * want for want in asked.want], asked.error_torch)
    monkeypatch.setattr(compare, "ask", lambda case, device: wrong)
    with pytest.raises(ValueError, match="is wrong, so nothing was timed"):
        measure(Case(MODEL, 64, 64, 1, "float32"), False, 0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([MODEL, "--size", "64"], "size '64' is not HEIGHTxWIDTH"),
        (["resnet50"], "no model matches 'resnet50'"),
        ([MODEL, "--batch", "0"], "batch and size must be positive"),
    ],
    ids=["size", "model", "batch"],
)
def test_bad_options_end_with_one_sentence(words, message, capsys):
    assert main(words) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1

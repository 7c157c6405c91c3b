"""Files of rows that are measured one by one, and what the commands share."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json

import pytest

from benchmarks.arguments import command_of, parser_of
from benchmarks.sheet import Made, Record, Sheet, read_sheet, write_sheet
from benchmarks.studies import STUDIES, Study, run
from benchmarks.text import markdown_table

MADE = Made("0123456789", "abc", 0.1)


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    value: float
    made: Made = MADE

    @property
    def key(self) -> str:
        return self.name


def sheet(*rows: Row, **values) -> Sheet:
    fields = {
        "kind": "levels",
        "command": "python -m benchmarks.levels",
        "machine": {"cpu": "Intel(R) Xeon(R) Processor", "cores": 2, "isa": ["avx2"]},
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "threads": 2,
    }
    return Sheet(**{**fields, **values}, rows=rows)


def test_a_sheet_survives_its_file(tmp_path):
    path, kept = write_sheet(sheet(Row("a", 1.5)), tmp_path / "new")
    assert path.name == "levels-cpu-intel-xeon-processor-t2.json"
    assert read_sheet(path, Row) == kept == sheet(Row("a", 1.5))


def test_a_row_measured_again_replaces_only_itself(tmp_path):
    write_sheet(sheet(Row("a", 1.0), Row("b", 2.0)), tmp_path)
    newer = Row("a", 3.0, Made("9876543210", "def", None))
    path, kept = write_sheet(sheet(newer), tmp_path)
    assert kept.rows == (newer, Row("b", 2.0)) == read_sheet(path, Row).rows
    assert "commits 9876543210, 0123456789" in kept.identity


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"versions": {"torch": "2.16"}}, r"holds 1 rows of other versions \(python, torch\)"),
        ({"machine": {"cpu": "Intel Xeon Processor", "cores": 4, "isa": []}}, r"of other machine \(cpu, cores, isa\)"),
    ],
    ids=["versions", "machine"],
)
def test_rows_of_another_place_are_neither_lost_nor_mixed(tmp_path, values, told):
    path, kept = write_sheet(sheet(Row("a", 1.0)), tmp_path)
    with pytest.raises(ValueError, match=told):
        write_sheet(sheet(Row("b", 2.0), **values), tmp_path)
    assert read_sheet(path, Row) == kept


def test_a_busy_machine_is_told():
    assert "do not rely" not in sheet(Row("a", 1.0)).identity
    assert "1.5 cores busy" in sheet(Row("a", 1.0, Made("c", "d", 1.5))).identity


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data.pop("threads"), "the sheet lacks threads"),
        (lambda data: data["rows"][0].pop("value"), "a row lacks value"),
        (lambda data: data["rows"][0].pop("made"), "KeyError"),
        (lambda data: data.clear(), "KeyError"),
    ],
    ids=["sheet", "row", "made", "empty"],
)
def test_spoiled_files_are_refused_by_name(tmp_path, spoil, message):
    path, _ = write_sheet(sheet(Row("a", 1.0)), tmp_path)
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=message) as caught:
        read_sheet(path, Row)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="cannot be read"):
        read_sheet(tmp_path / "none.json", Row)


def test_markdown_has_its_numbers_to_the_right():
    lines = markdown_table(["what", "ms", "x"], [["a", "1", "200"]]).splitlines()
    assert lines == ["| what | ms |   x |", "|------|---:|----:|", "| a    |  1 | 200 |"]


def parser() -> argparse.ArgumentParser:
    return parser_of("levels", "measures a thing", "--threads 2", 3.0, "a thing")


@pytest.fixture
def study(monkeypatch):
    """In place of the study of levels; tells what was drawn."""
    drawn = []

    def draw(kept, path):
        drawn.append((kept, path))
        return path

    made = Study("Title", "caption", Row, lambda shown: f"the table of {len(shown.rows)}", str, draw)
    monkeypatch.setitem(STUDIES, "levels", made)
    return drawn


@pytest.mark.parametrize(
    "words", [["--threads", "0"], ["--threads", "two"], ["--seconds", "nan"], ["--seconds", "-1"], ["--seconds", "inf"]]
)
def test_bad_numbers_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(words)
    assert f"{words[1]!r} is not a positive number" in capsys.readouterr().err


@pytest.mark.parametrize("out", [["--out", "/a/folder"], ["--out=/a/folder"], ["--mirror", "/a/folder"]], ids=" ".join)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_command_is_told_without_a_machines_folder(out, at):
    words = ["--batch", "1", "--threads", "2"]
    assert command_of("measure", [*words[:at], *out, *words[at:]]) == "measure --batch 1 --threads 2"


@pytest.mark.parametrize("name", ["gpu", "levels", "memory", "requests", "scaling", "report"])
def test_options_are_not_abbreviated(name, capsys):
    """`command_of` knows those of folders by their whole names."""
    command = importlib.import_module("benchmarks.report" if name == "report" else f"benchmarks.{name}.__main__")
    with pytest.raises(SystemExit):
        command.main(["hrnet_w18.features", "--ou", "folder", "--wri"])
    assert "unrecognized arguments: " in capsys.readouterr().err


def test_what_a_command_leaves_behind(study, tmp_path, capsys):
    words = ["--threads", "1", "--out", str(tmp_path / "new")]

    def rows(options, progress):
        yield Row("a", 1.0)
        (path,) = tmp_path.glob("new/*.json")
        assert read_sheet(path, Row).rows == (Row("a", 1.0),), "written before the next is measured"
        assert run("levels", parser(), words, lambda *given: [Row("b", 2.0)]).rows == (Row("b", 2.0),)
        yield Row("c", 3.0)

    assert [row.name for row in run("levels", parser(), words, rows).rows] == ["a", "c"]
    kept, picture = study[-1]
    (path,) = tmp_path.glob("new/*.json")
    assert [row.name for row in kept.rows] == ["a", "b", "c"] and picture == path.with_suffix(".png")
    assert kept.command == "python -m benchmarks.levels --threads 1"
    assert "the table of 2" in capsys.readouterr().out


def test_what_ends_a_command_is_one_sentence(study, tmp_path, capsys):
    def rows(options, progress):
        yield Row("a", 1.0)
        raise ValueError("the second is wrong")

    assert run("levels", parser(), ["--threads", "1", "--out", str(tmp_path)], rows) is None
    assert capsys.readouterr().err == "python -m benchmarks.levels: the second is wrong\n"
    (path,) = tmp_path.glob("*.json")
    assert read_sheet(path, Row).rows == (Row("a", 1.0),) and study == []


def test_a_file_that_takes_no_rows_is_refused_before_anything_is_measured(tmp_path):
    Record(sheet(), Row, tmp_path).add(Row("a", 1.0))
    with pytest.raises(ValueError, match=r"holds 1 rows of other versions \(torch\); move that file away"):
        Record(sheet(versions={**sheet().versions, "torch": "2.0"}), Row, tmp_path)
    (path,) = tmp_path.glob("*.json")
    path.write_text("{}")
    with pytest.raises(ValueError, match="is not a sheet of Row rows.*move that file away"):
        Record(sheet(), Row, tmp_path)

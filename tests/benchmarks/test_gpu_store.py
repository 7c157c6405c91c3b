"""The report's file: rows survive, resume, and are doubted when the sources change."""

from __future__ import annotations

import json

import pytest

import benchmarks.gpu.store as store_module
from benchmarks.gpu.store import KIND, Store, file_name, read_report
from benchmarks.results import kind_of

ABOUT = {
    "gpu": "NVIDIA H200", "torch": "2.11.0+cu130", "dry_run": False, "device": {}, "machine": {}, "versions": {},
    "commit": "0123456789", "code": "c0de", "command": "python -m benchmarks.gpu",
}  # fmt: skip


def a_row(name="a row", **values):
    return {"name": name, "status": "ok", **values}


def test_name_says_gpu_and_torch():
    assert file_name(ABOUT) == "gpu-nvidia-h200-torch2.11.json"


def test_rows_are_there_for_the_next_run(tmp_path):
    Store(tmp_path, ABOUT).add("micro", a_row(value=1.5))
    again = Store(tmp_path, ABOUT)
    assert again.done("micro", "a row") and not again.done("micro", "another") and not again.done("ours", "a row")
    again.add("micro", a_row("another"))
    assert [row["name"] for row in read_report(again.path)["rows"]] == ["a row", "another"]
    assert [path.name for path in tmp_path.iterdir()] == ["gpu-nvidia-h200-torch2.11.json"]


def test_a_row_is_replaced_not_repeated(tmp_path):
    store = Store(tmp_path, ABOUT)
    store.add("micro", a_row(value=1))
    store.add("micro", a_row(value=2))
    (row,) = read_report(store.path)["rows"]
    assert row["value"] == 2


def test_only_rows_of_our_code_are_made_again_when_it_changes(tmp_path, monkeypatch):
    store = Store(tmp_path, ABOUT)
    store.add("baselines", a_row())
    store.add("ours", a_row())
    assert store.done("baselines", "a row") and store.done("ours", "a row")
    monkeypatch.setattr(store_module, "our_code", lambda: "changed")
    assert store.done("baselines", "a row") and not store.done("ours", "a row")


def test_a_forgotten_row_stays_in_the_file_until_it_is_made_again(tmp_path):
    store = Store(tmp_path, ABOUT)
    store.add("micro", a_row(value=1))
    store.forget("micro", "a row")
    assert not store.done("micro", "a row") and read_report(store.path)["rows"][0]["value"] == 1


def test_mirror_gets_every_row(tmp_path):
    mirror = tmp_path / "mirror"
    store = Store(tmp_path / "out", ABOUT, mirror)
    store.add("micro", a_row())
    assert (mirror / store.path.name).read_text() == store.path.read_text()


def test_a_report_in_the_mirror_is_gone_on_with(tmp_path, monkeypatch):
    """Of each row the one that counts for the sources of now, and the whole rather than a part."""
    mirror = tmp_path / "mirror"
    Store(mirror, ABOUT).add("micro", a_row("there"))
    Store(mirror, ABOUT).add("tests", a_row("whole", value=2))
    Store(mirror, ABOUT).add("ours", a_row("both", value=2))
    old = Store(tmp_path / "out", ABOUT)
    old.add("tests", a_row("whole", partial=True))
    old.add("ours", a_row("both", value=1))
    old.rows["ours", "old"] = {"part": "ours", **a_row("old"), "code": "older"}
    old.write()
    store = Store(tmp_path / "out", ABOUT, mirror)
    assert store.done("micro", "there") and store.done("tests", "whole") and not store.done("ours", "old")
    assert store.rows["ours", "both"]["value"] == 1
    monkeypatch.setattr(store_module, "our_code", lambda: "changed")
    assert not store.done("tests", "whole")


def test_a_mirror_of_another_gpu_is_not_overwritten(tmp_path):
    Store(tmp_path / "mirror", {**ABOUT, "torch": "2.11.1"}).add("micro", a_row())
    with pytest.raises(ValueError, match="mirror.* is of torch '2.11.1'"):
        Store(tmp_path / "out", ABOUT, tmp_path / "mirror")


@pytest.mark.parametrize("change", [{"gpu": "NVIDIA-H200"}, {"dry_run": True}, {"torch": "2.11.1"}], ids=str)
def test_report_of_something_else_is_not_added_to(tmp_path, change):
    Store(tmp_path, ABOUT).add("micro", a_row())
    with pytest.raises(ValueError, match=f"is of {next(iter(change))}"):
        Store(tmp_path, {**ABOUT, **change})


def test_bad_status_and_numbers_that_json_lacks_are_refused(tmp_path):
    store = Store(tmp_path, ABOUT)
    with pytest.raises(ValueError, match="status 'fine' is not one of ok"):
        store.add("micro", {"name": "a row", "status": "fine"})
    store.add("micro", a_row("good"))
    with pytest.raises(ValueError, match="JSON"):
        store.add("micro", a_row(value=float("nan")))
    assert [row["name"] for row in read_report(store.path)["rows"]] == ["good"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a report"),
        ('{"kind": "gpu-report"}', "lacks gpu"),
        (json.dumps({"kind": "gpu-report", **ABOUT, "rows": [{"part": "micro"}]}), "row 0 lacks name, status"),
        (
            json.dumps({"kind": "gpu-report", **ABOUT, "rows": [{"part": "x", "name": "y", "status": "ok"}]}),
            "part 'x' or status 'ok' is not known",
        ),
    ],
    ids=["half", "list", "keys", "row", "part"],
)
def test_file_that_is_no_report_is_named(tmp_path, text, message):
    path = tmp_path / "gpu-nvidia-h200-torch2.11.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        Store(tmp_path, ABOUT)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_reports_are_told_from_other_results(tmp_path):
    store = Store(tmp_path, ABOUT)
    store.add("micro", a_row())
    for name, text in (("other", '{"profile": "short"}'), ("bad", "{"), ("list", "[]")):
        (tmp_path / f"{name}.json").write_text(text)
    assert kind_of(store.path) == KIND
    assert {kind_of(tmp_path / f"{name}.json") for name in ("other", "bad", "list", "absent")} == {None}

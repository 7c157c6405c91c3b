"""Two runs of hrnet-fast predict into one folder: one at a time."""

import os
import sys
from pathlib import Path

import pytest

from hrnet_fast.cli import prediction
from hrnet_fast.cli.ledger import Ledger
from hrnet_fast.tasks.classification import Classifier
from tests.cli.folders import MODEL, lines, noise


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for index in range(3):
        noise(seed=index).save(f"photos/{index}.jpg")


def test_a_second_run_is_refused_and_the_first_one_ends(run, photos, monkeypatch):
    classify, others = Classifier.__call__, []

    def meanwhile(self, *given, **options):
        result = classify(self, *given, **options)
        if not others:
            others.append(None)
            others[0] = run("predict", "photos", *MODEL, "--out", "out")
        return result

    monkeypatch.setattr(Classifier, "__call__", meanwhile)
    result = run("predict", "photos", *MODEL, "--out", "out", "--json")
    assert (result.code, result.json()["done"]) == (0, 3)
    assert others[0].code == 2
    assert "another run writes to out: wait for its end, or choose another --out" in others[0].err
    assert len(lines("out/results.jsonl")) == 3
    assert run("predict", "photos", *MODEL, "--out", "out", "--json").json()["done_before"] == 3


def test_what_another_run_has_written_meanwhile_is_not_done_again(run, photos, monkeypatch):
    looked, others = prediction.Prediction.run, []

    def late(self, *given):
        if not others:
            others.append(None)
            others[0] = run("predict", "photos", *MODEL, "--out", "out")
        looked(self, *given)

    monkeypatch.setattr(prediction.Prediction, "run", late)
    result = run("predict", "photos", *MODEL, "--out", "out")
    assert others[0].code == 0
    assert result.code == 2 and "another run has just written to out: run the same command again" in result.err
    assert len(lines("out/results.jsonl")) == 3


def test_a_folder_that_cannot_be_made_is_told_of_at_once(run, photos, monkeypatch):
    monkeypatch.setattr(Classifier, "__call__", lambda *_, **__: pytest.fail("a picture was predicted for nothing"))
    result = run("predict", "photos", *MODEL, "--out", "/proc/out")
    assert (result.code, result.out) == (2, "")
    assert "hrnet-fast: writing to /proc/out failed" in result.err


def test_results_are_written_where_folders_cannot_be_locked(tmp_path, monkeypatch):
    opened = os.open

    def files_alone(path, *given, **options):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))  # as on Windows
        return opened(path, *given, **options)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(os, "open", files_alone)
    ledger = Ledger(tmp_path / "out", {})
    with ledger.locked():
        ledger.add({"source": "a.jpg"})
    assert lines(tmp_path / "out" / "results.jsonl") == [{"source": "a.jpg"}]

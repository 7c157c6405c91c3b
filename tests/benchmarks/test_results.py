"""The JSON of a run: written whole, named by what matters, and checked when read."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from benchmarks import machine
from benchmarks.results import read_run, write_run
from hrnet_fast.processor import available_cores


def test_round_trip(run, tmp_path):
    path = write_run(run, tmp_path / "new" / "folder")
    assert read_run(path) == run
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_schema_is_the_contract(run, tmp_path):
    data = json.loads(write_run(run, tmp_path).read_text())
    assert {"machine", "device", "versions", "threads", "rows"} <= data.keys()
    assert data["rows"][0]["case"] == {"model": "hrnet_w32.pose_coco_256x192", "size": "256x192"}
    keys = "batch dtype executor p50_us p90_us p99_us peak_bytes build_s error error_torch status reason commit ran"
    assert all(set(keys.split()) <= row.keys() for row in data["rows"])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "short-cpu-intel-xeon-processor-t2-torch2.15.json"),
        ({"profile": "cpu"}, "cpu-intel-xeon-processor-t2-torch2.15.json"),
        ({"device": "NVIDIA H200", "profile": "full"}, "full-cuda-nvidia-h200-t2-torch2.15.json"),
        ({"threads": 16, "versions": {"torch": "2.11.1a0"}}, "short-cpu-intel-xeon-processor-t16-torch2.11.json"),
    ],
    ids=["cpu", "cpu-profile", "cuda", "threads"],
)
def test_file_name_says_what_matters(run, changes, name):
    assert dataclasses.replace(run, **changes).file_name == name


def test_a_case_measured_again_is_replaced_as_a_whole(make_row, make_run, tmp_path):
    first = make_run(make_row("hrnet_fast"), make_row("plain"), make_row("hrnet_fast", batch=16))
    again = make_run(make_row("hrnet_fast", p50_ms=7.0, commit="9876543210"))
    write_run(first, tmp_path)
    kept = read_run(write_run(again, tmp_path))
    assert [(row.executor, row.batch) for row in kept.rows] == [("hrnet_fast", 1), ("hrnet_fast", 16)]
    assert kept.rows[0] == again.rows[0] and kept.commits == ["9876543210", "0123456789"]


def test_rows_of_other_versions_are_neither_lost_nor_mixed(run, make_row, make_run, tmp_path):
    path = write_run(run, tmp_path)
    newer = make_run(make_row("plain"), versions={**run.versions, "openvino": "2027.0"})
    with pytest.raises(ValueError, match=r"holds 7 rows of other versions \(openvino\)"):
        write_run(newer, tmp_path)
    assert read_run(path) == run
    untimed = make_run(make_row("plain", batch=16), versions={**run.versions, "timm": "2.0", "numpy": "3.0"})
    assert len(read_run(write_run(untimed, tmp_path)).rows) == 8


def test_unwritable_value_leaves_the_old_file(run, make_row, make_run, tmp_path):
    path = write_run(run, tmp_path)
    before = path.read_text()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_run(make_run(make_row("hrnet_fast", error=float("nan"))), tmp_path)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data.pop("versions"), "the run lacks versions"),
        (lambda data: data.update(speed=1), "the run has the unknown key speed"),
        (lambda data: data.update(rows=[]), "has no rows"),
        (lambda data: data.update(rows=["hrnet_fast"]), "row 0 is a str, where an object is expected"),
        (lambda data: data["rows"][1].pop("p50_us"), "row 1 lacks p50_us"),
        (lambda data: data["rows"][1].update(p50_us=None), "row 1: plain is 'ok' but has no p50_us"),
        (lambda data: data["rows"][0].update(status="fine"), "row 0: status 'fine' is not one of ok"),
    ],
    ids=["no-versions", "unknown-key", "no-rows", "row", "row-key", "timed-without-time", "status"],
)
def test_spoiled_files_are_refused_by_name(run, tmp_path, spoil, message):
    path = write_run(run, tmp_path)
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=message) as caught:
        read_run(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "the run is a list"), (None, "cannot be read: No such file")],
    ids=["truncated", "list", "absent"],
)
def test_what_is_no_result_is_refused(tmp_path, text, message):
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_run(path)


def test_machine_is_described_without_naming_it():
    import platform

    described = machine.describe_machine()
    assert described["cores"] >= 1 and described["cpu"] and described["isa"]
    assert platform.node() not in json.dumps(described).split('"')


def test_versions_hold_torch_and_us():
    assert {"python", "torch", "hrnet_fast"} <= machine.versions().keys()


def test_files_from_before_a_key_was_added_are_read(run, tmp_path):
    path = write_run(run, tmp_path)
    data = json.loads(path.read_text())
    for row in data["rows"]:
        assert row.pop("load_before", 0) is None
    path.write_text(json.dumps(data))
    assert read_run(path) == run


@pytest.mark.parametrize("average", [1.254, None], ids=["average", "nothing"])
def test_where_the_system_does_not_tell_processes_apart_the_load_average_counts(monkeypatch, average):
    def getloadavg():
        if average is None:
            raise OSError
        return average, 9.0, 9.0

    monkeypatch.setattr(machine.OtherWork, "_read", staticmethod(lambda: (None, 0.0, 0.0)))
    monkeypatch.setattr(machine.os, "getloadavg", getloadavg, raising=False)
    assert machine.load_of_others(0.0) == (average and 1.25)


def test_what_another_program_does_is_seen():
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert not sys.platform.startswith("linux") or machine.load_of_others() > 0.1
    finally:
        child.kill()
        child.wait()


def test_other_work_is_not_our_own():
    meter = machine.OtherWork()
    sum(range(3_000_000))
    cores = meter.cores()
    assert cores is None or 0 <= cores <= available_cores() + 0.5

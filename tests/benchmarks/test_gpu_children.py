"""Child processes may die, hang or lose the GPU: the rows of the others are made all the same."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

import benchmarks.gpu.children as children
from benchmarks.gpu.children import begin, end_all, run_child
from benchmarks.gpu.jobs import Job
from benchmarks.gpu.schedule import Budget, play
from benchmarks.gpu.store import Store

# a child that plays its runners: "ok", "die", "hang", "lost" (the GPU answers no more), "noise", "orphan", "wait" (for
# its turn, longer than a row may take), "wait and hang", "left" (tells what time it has)
CHILD = """
import json, os, subprocess, sys, time
job = json.loads(sys.argv[1])
print("a library's greeting", flush=True)
for name, runner in zip(job["names"], job["runners"]):
    if runner == "die":
        print("the last words\\n", file=sys.stderr, flush=True)
        os._exit(7)
    if runner == "hang":
        time.sleep(60)
    if runner == "orphan":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    if runner.startswith("wait"):
        print("@waits", flush=True)
        time.sleep(3)
        print("@runs", flush=True)
        if runner == "wait and hang":
            time.sleep(60)
    if runner == "left":
        left = float(os.environ["HRNET_FAST_BENCH_DEADLINE"]) - time.monotonic()
        print("@row " + json.dumps({"name": name, "status": "ok", "left": left}), flush=True)
        continue
    if runner == "pid":
        print("@row " + json.dumps({"name": name, "status": "ok", "pid": os.getpid()}), flush=True)
        time.sleep(60)
    status = "failed" if runner == "lost" else "ok"
    print("@row " + json.dumps({"name": name, "status": status, "cache": os.environ.get("A_CACHE")}), flush=True)
    if runner == "lost":
        os._exit(3)
"""


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    monkeypatch.setattr(children, "COMMAND", (sys.executable, "-c", CHILD))
    monkeypatch.setattr(children, "WORK", tmp_path)
    begin()
    yield
    begin()


def run(*runners, seconds=20.0, limit_s=20.0, environment=None):
    """(row by name, names that were left) of rows named 0, 1, …"""
    job = Job("micro", tuple(map(str, range(len(runners)))), runners, limit_s=limit_s)
    rows = {}
    left = run_child(job, time.monotonic() + seconds, lambda row: rows.update({row["name"]: row}), environment)
    return rows, left


def test_rows_come_through_other_output():
    rows, left = run("ok", "ok", environment={"A_CACHE": "here"})
    assert [row["status"] for row in rows.values()] == ["ok", "ok"] and left == set()
    assert rows["0"]["cache"] == "here"


def test_a_child_that_dies_loses_one_row():
    rows, left = run("ok", "die", "ok")
    assert [rows[name]["status"] for name in "012"] == ["ok", "failed", "ok"] and left == set()
    assert rows["1"]["reason"] == "the process ended (7): the last words"


def test_a_lost_gpu_costs_the_row_that_lost_it():
    rows, _ = run("lost", "ok")
    assert [rows[name]["status"] for name in "01"] == ["failed", "ok"]


def test_a_row_that_hangs_is_given_up_and_the_next_is_made():
    begun = time.monotonic()
    rows, left = run("ok", "hang", "ok", limit_s=1.0)
    assert rows["1"] == {"name": "1", "status": "timed out", "reason": "no result after 1 s"}
    assert rows["2"]["status"] == "ok" and left == set() and time.monotonic() - begun < 15


def test_what_a_row_waits_for_its_turn_is_not_its_own_time():
    begun = time.monotonic()
    rows, left = run("wait", "wait and hang", "ok", limit_s=2.0)
    assert [rows[name]["status"] for name in "012"] == ["ok", "timed out", "ok"] and left == set()
    assert 8 <= time.monotonic() - begun < 20


def test_a_child_knows_when_it_will_be_ended():
    assert 10 < run("left")[0]["0"]["left"] < 20


def test_at_the_deadline_rows_are_left_not_given_up():
    rows, left = run("ok", "hang", "ok", seconds=1.5)
    assert set(rows) == {"0"} and left == {"1", "2"}


def test_what_a_child_leaves_running_does_not_hold_the_report_up():
    begun = time.monotonic()
    rows, _ = run("orphan", "ok")
    assert len(rows) == 2 and time.monotonic() - begun < 15


def test_an_error_in_the_report_ends_the_child():
    pids = []

    def keep(row):
        pids.append(row["pid"])
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        run_child(Job("micro", ("a",), ("pid",)), time.monotonic() + 20, keep)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_an_interruption_ends_all_children_and_starts_no_other():
    rows = []
    begun = time.monotonic()
    threading.Timer(0.5, end_all).start()
    job = Job("micro", ("a", "b"), ("hang", "ok"))
    assert run_child(job, begun + 20, rows.append) == {"a", "b"}
    assert rows == [] and time.monotonic() - begun < 10
    assert run_child(job, begun + 20, rows.append) == {"a", "b"}
    begin()
    assert run_child(Job("micro", ("b",), ("ok",)), begun + 20, rows.append) == set()


def test_a_report_that_is_interrupted_leaves_nothing_behind(monkeypatch, tmp_path):
    store = Store(tmp_path, dict.fromkeys(("gpu", "torch", "dry_run"), "1.0"))

    def interrupt(row):
        raise KeyboardInterrupt

    jobs = [Job("micro", (name,), (runner,), beside=True) for name, runner in (("a", "hang"), ("b", "ok"))]
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        play(jobs, store, Budget(60), beside=2, said=interrupt)
    assert not children._LIVE and time.monotonic() - begun < 15

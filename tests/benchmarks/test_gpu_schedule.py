"""Jobs are played within a budget, resumed, and built beside each other only where that is fair."""

from __future__ import annotations

import threading
import time

import pytest

from benchmarks.cases import Case
from benchmarks.gpu import jobs, ours
from benchmarks.gpu.jobs import Job, seconds_left
from benchmarks.gpu.schedule import Budget, play
from benchmarks.gpu.store import Store
from benchmarks.gpu.turns import Turns

ABOUT = {
    "gpu": "none", "torch": "2.11.0", "dry_run": True, "device": {}, "machine": {}, "versions": {}, "commit": "0",
    "code": "0", "command": "test",
}  # fmt: skip


def a_job(*names, part="micro", **values):
    return Job(part, names, names, **values)


class Children:
    """Stands for child processes: makes every row, but those of `unmade`."""

    def __init__(self, unmade=()):
        self.unmade, self.played, self.environments, self.at_once, self._running = set(unmade), [], [], 0, 0
        self._lock = threading.Lock()

    def __call__(self, job, deadline, keep, environment):
        with self._lock:
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            self.played.append(job.names)
            self.environments.append(environment)
        time.sleep(0.02)
        for name in job.names:
            if name not in self.unmade:
                keep({"name": name, "status": "ok"})
        with self._lock:
            self._running -= 1
        return self.unmade & set(job.names)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, ABOUT)


def test_only_missing_rows_are_made(store):
    store.add("micro", {"name": "b", "status": "failed"})
    children = Children()
    assert play([a_job("a", "b"), a_job("b"), a_job("c")], store, Budget(100), child=children) == []
    assert children.played == [("a",), ("c",)]
    assert all(store.done("micro", name) for name in "abc")


def test_a_pattern_chooses_rows(store):
    children = Children()
    play([a_job("W32 b1 float16", "W32 b1 bfloat16")], store, Budget(100), only="* float16", child=children)
    assert children.played == [("W32 b1 float16",)]


def test_a_job_that_would_outlast_the_budget_is_left_for_another_run(store):
    children = Children()
    jobs = [a_job("long", expected_s=50), a_job("short", expected_s=1)]
    budget = Budget(100, begun=time.monotonic() - 70)
    assert play(jobs, store, budget, child=children) == ["long"]
    assert children.played == [("short",)]


def test_a_job_longer_than_any_budget_is_begun_at_the_start_of_one(store):
    assert play([a_job("long", expected_s=900)], store, Budget(100), child=Children()) == []
    late = Budget(100, begun=time.monotonic() - 50)
    assert play([a_job("longer", expected_s=900)], store, late, child=Children()) == ["longer"]


@pytest.mark.parametrize("status", ["timed out", "failed", "ok"])
def test_what_a_hanging_row_bodes_is_left(store, status):
    """A row that failed at once costs little to try again on other networks, and tells more."""
    asked = [a_job("first"), *(a_job(name, beside=True, unless=("micro", "first")) for name in "ab"), a_job("c")]
    children = Children()

    def child(job, deadline, keep, environment):
        if job.names == ("first",):
            keep({"name": "first", "status": status})
            return set()
        return children(job, deadline, keep, environment)

    left = play(asked, store, Budget(100), child=child)
    assert left == (["a", "b"] if status == "timed out" else [])
    assert sorted(children.played) == ([("c",)] if left else [("a",), ("b",), ("c",)])


def test_time_left_is_the_row_s_or_the_run_s(monkeypatch):
    for name in (jobs.DEADLINE, jobs.BEGUN):
        monkeypatch.delenv(name, raising=False)
    assert seconds_left(a_job("a", limit_s=30.0)) == pytest.approx(30.0)
    monkeypatch.setenv(jobs.BEGUN, str(time.monotonic() - 10))
    assert 15 < seconds_left(a_job("a", limit_s=30.0)) <= 20
    monkeypatch.setenv(jobs.DEADLINE, str(time.monotonic() + 10))
    assert 5 < seconds_left(a_job("a", limit_s=30.0)) <= 10


def test_one_cuda_row_of_the_smallest_network_comes_first():
    first, *rest = ours.jobs(False)
    assert first.names == ("W18 class 224 b1 float16: cuda",) and not first.beside and first.limit_s <= 90
    assert first.names[0] not in {name for job in rest for name in job.names}
    assert [job.runners for job in rest][:12:6] == [("cuda", "cuda-chains"), ("triton", "cudnn")]
    assert all(job.unless == ("ours", first.names[0]) for job in rest if {"cuda", "auto"} & set(job.runners))
    assert not any(job.unless for job in rest if "triton" in job.runners)
    assert all(job.limit_s <= 90 for job in rest if "cuda" in job.runners)


def test_tuned_rows_of_triton_come_last():
    made = [job.runners for job in ours.tuned_jobs(False)]
    assert made == [("cuda tuned", "cuda-chains tuned", "auto tuned")] * 12 + [("triton tuned",)] * 12


def test_rows_that_the_deadline_cut_off_are_left(store):
    assert play([a_job("a", "b")], store, Budget(100), child=Children(unmade=["b"])) == ["b"]
    assert store.done("micro", "a") and not store.done("micro", "b")


def test_jobs_are_built_beside_each_other_only_where_they_allow_it(store):
    children = Children()
    jobs = [a_job("a"), *(a_job(name, beside=True) for name in "bcd"), a_job("e")]
    play(jobs, store, Budget(100), beside=2, child=children)
    assert children.at_once == 2
    shared = ["HRNET_FAST_BENCH_TURNS" in environment for environment in children.environments]
    assert shared == [False, True, True, False, False]
    assert sorted(name for names in children.played for name in names) == list("abcde")


def test_said_gets_each_row_as_it_was_kept(store):
    said = []
    play([a_job("a", part="ours")], store, Budget(100), said=said.append, child=Children())
    assert [(row["part"], row["name"], bool(row["code"])) for row in said] == [("ours", "a", True)]


def test_a_job_survives_its_way_to_the_child():
    job = Job("ours", ("a", "b"), ("x", "y"), Case("m", 8, 4, 2, "float16"), True, 1.0, 2.0, True, ("ours", "c"))
    assert Job.from_json(job.to_json()) == job
    assert job.only({"b"}).rows() == [("b", "y")] and job.only({"z"}) is None


def test_a_job_without_a_runner_for_each_name_is_refused():
    with pytest.raises(ValueError, match="a runner for each name, not 1 for 2"):
        Job("ours", ("a", "b"), ("x",))


def test_who_times_waits_for_who_builds(tmp_path):
    """flock counts open files, so two turns in one process behave as those of two processes."""
    path = tmp_path / "turns"
    path.touch()
    happened = []
    first, second = Turns(path), Turns(path)

    def timing():
        first.alone()
        happened.append("timed")
        first.close()

    thread = threading.Thread(target=timing)
    thread.start()
    time.sleep(0.1)
    happened.append("built")
    second.alone()
    second.alone()
    happened.append("timed too")
    second.close()
    thread.join(10)
    assert happened[0] == "built" and sorted(happened[1:]) == ["timed", "timed too"]

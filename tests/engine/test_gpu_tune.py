"""Tuning on a GPU that refuses tiles, and in little time. The GPU's clock is made up."""

import json
import sys
from collections import Counter
from math import inf
from types import SimpleNamespace

import pytest
import torch

from hrnet_fast import optimize
from hrnet_fast.cli.commands import tune as command
from hrnet_fast.engine.executors import levels as levels_module
from hrnet_fast.engine.executors.cuda import CudaExecutor
from hrnet_fast.engine.gpu import tune
from hrnet_fast.engine.gpu.gpu import Gpu
from hrnet_fast.engine.gpu.tune import TileTuning, TunedTiles, tune_level
from hrnet_fast.engine.tuning.cache import TuningCache
from tests.engine.emulated import CPU, HALF, KEY
from tests.networks import planned, small_net


class Number(int):
    """A choice that is one of the numbers from 0 to 9; 9 is the fastest."""

    def as_entry(self):
        return {"number": int(self)}


def upwards(choice):
    return map(Number, range(choice, 10))


def time_of(choice, refused=()):
    if choice in refused:
        raise RuntimeError("CUDA error: too many resources requested for launch")
    return 10.0 - choice


@pytest.fixture(scope="module")
def small():
    return planned(small_net(), torch.zeros(1, 3, 64, 64))


@pytest.fixture
def executor(small, tmp_path):
    made = CudaExecutor(small[1], HALF, CPU, gpu=Gpu(), cache=TuningCache(tmp_path))
    made.key = KEY
    return made


def test_a_refused_choice_is_none_and_has_no_time_in_the_cache():
    tuned = tune_level(Number(3), [upwards], lambda choice: time_of(choice, refused=(3, 9)))
    assert (tuned.choice, tuned.time, tuned.model_time) == (8, 2.0, inf)
    assert json.loads(json.dumps(tuned.as_entry(), allow_nan=False)) == {"number": 8, "us": 2.0, "model_us": None}


def test_triton_s_own_errors_are_refusals_too(monkeypatch):
    class TritonError(Exception):
        pass

    def clock(choice):
        if choice == 9:
            raise TritonError("out of resource: shared memory")
        return time_of(choice)

    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(TritonError=TritonError))
    assert tune_level(Number(3), [upwards], clock).choice == 8
    with pytest.raises(TypeError):  # what is no refusal is a mistake
        tune_level(Number(3), [upwards], lambda choice: choice + None)


def test_tiles_that_the_gpu_refuses_do_not_lose_the_others(executor, small):
    """Neither the model's choice of some levels, nor every choice of others."""
    plan, count = small[0], iter(range(10**6))

    def clock(step):
        if next(count) % 7 == 0:
            raise torch.cuda.OutOfMemoryError("shared memory")
        return 1.0

    executor.clock = clock
    found = executor.tune(plan)
    assert inf in {each.model_time for each in found.values()} and {each.time for each in found.values()} == {1.0}
    assert executor.tune(plan) == {}

    def refuse(step):
        raise RuntimeError("no tile fits")

    executor.clock = refuse
    assert {each.time for each in executor.tune(plan, again=True).values()} == {inf}
    assert executor.tune(plan) == {}  # what was measured before stays


def test_the_command_tells_of_refused_tiles():
    found = TileTuning({"a level": TunedTiles(Number(2), 2.0, inf), "another": TunedTiles(Number(1), 3.0, 4.0)})
    result = command._levels({"cache": "here"}, found)
    assert [row["model_us"] for row in result.data["levels"]] == [None, 4.0]
    first, second, total = result.text.splitlines()[1:]
    assert first.split()[-2:] == ["refused", "2.00us"] and second.split()[-2:] == ["4.00us", "3.00us"]
    assert total == "1 levels: 4.0 us -> 3.0 us, each once; kept in here"
    found.left = 3
    result = command._levels({"cache": "here"}, found)
    assert result.data["left"] == 3 and result.text.endswith("\n3 levels are left for another run")


class Time:
    """A wall clock that goes on by `step` seconds each time it is read."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_what_was_found_when_the_time_is_over_is_kept(monkeypatch):
    monkeypatch.setattr(tune, "monotonic", Time(1.0))
    tuned = tune_level(Number(3), [upwards], time_of, seconds=4.5)
    assert (tuned.choice, tuned.model_time, tuned.complete) == (6, 7.0, False)
    assert tuned.as_entry() == {"number": 6, "us": 4.0, "model_us": 7.0, "complete": False}
    assert tune_level(Number(3), [upwards], time_of, seconds=60.0).complete
    late = tune_level(Number(3), [upwards], time_of, seconds=0.0)
    assert (late.choice, late.time, late.complete) == (3, 7.0, False)


def test_choices_are_made_ready_before_they_are_timed():
    told = []

    def clock(choice):
        told.append(int(choice))
        return time_of(choice)

    tune_level(Number(7), [upwards, lambda choice: [Number(0)]], clock, ready=told.append)
    assert told == [7, [8, 9], 8, 9, [0], 0, [], []]


def test_levels_that_take_most_come_first_and_the_rest_is_left(executor, small, monkeypatch):
    plan, order, lowering = small[0], [], executor.lowering
    times = {id(level): 1.0 + len(level.items) for level in plan.levels}
    tuned = executor._tune_level
    monkeypatch.setattr(executor, "_tune_level", lambda p, level, *rest: order.append(level) or tuned(p, level, *rest))
    step = lowering.step
    monkeypatch.setattr(
        lowering, "step", lambda p, level, *rest: SimpleNamespace(us=times[id(level)], made=step(p, level, *rest))
    )
    executor.clock = lambda step: step.us
    wall = Time(0.01)
    for module in (tune, levels_module):
        monkeypatch.setattr(module, "monotonic", wall)
    found = executor.tune(plan, seconds=2.0)
    assert [each.complete for each in found.values()] == [True] * (len(found) - 1) + [False]
    count = Counter(lowering.signature(plan, level) for level in plan.levels)
    spent = [count[lowering.signature(plan, level)] * times[id(level)] for level in order]
    assert spent == sorted(spent, reverse=True) and len(order) == len(found) > 2
    everything = {lowering.signature(plan, level) for level in plan.levels if lowering.tiled(plan, level)}
    assert found.left == len(everything) - len(found) + 1 > 2

    cut = list(found)[-1]
    again = executor.tune(plan)
    assert again.left == 0 and set(again) == everything - set(found) | {cut}
    assert executor.tune(plan) == {} and executor.tune(plan, seconds=9.0).left == 0


def test_a_time_that_is_over_leaves_all(executor, small):
    executor.clock = lambda step: 1.0
    found = executor.tune(small[0], seconds=1e-9)
    assert found == {} and found.left > 10


def test_a_cpu_knows_no_time_limit(small):
    fast = optimize(small_net())
    with pytest.raises(ValueError, match="seconds= limits the tuning on a GPU"):
        fast.tune(torch.zeros(1, 3, 64, 64), seconds=1.0)

"""Tuning on a GPU that refuses tiles, and in little time. The GPU's clock is made up."""

import json
import sys
from math import inf
from types import SimpleNamespace

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.executors.cuda import CudaExecutor
from hrnet_fast.engine.gpu.tiles import Gpu
from hrnet_fast.engine.gpu.tune import Tuned, tune_level
from hrnet_fast.engine.tuning.cache import TuningCache
from tests.engine.test_cuda import CPU, HALF, KEY, planned
from tests.golden import fill
from tests.models.test_models import SMALL


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
    return planned(fill(create_model(f"{SMALL}.pose_coco_256x192")), torch.zeros(1, 3, 64, 64))


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
    from hrnet_fast.cli.commands import tune

    found = {"a level": Tuned(Number(2), 2.0, inf), "another": Tuned(Number(1), 3.0, 4.0)}
    result = tune._levels({"cache": "here"}, found)
    assert [row["model_us"] for row in result.data["levels"]] == [None, 4.0]
    first, second, total = result.text.splitlines()[1:]
    assert first.split()[-2:] == ["refused", "2.00us"] and second.split()[-2:] == ["4.00us", "3.00us"]
    assert total == "1 levels: 4.0 us -> 3.0 us, each once; kept in here"

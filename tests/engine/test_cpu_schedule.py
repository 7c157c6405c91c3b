"""How evenly the levels of whole networks are dealt out, by the costs that the schedule itself assumes."""

from functools import cache

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.executors.native import NativeExecutor
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights, without_init

from .native_nets import by_any_isa

NETS = {"hrnet_w18.cls_in1k": (224, 224), "hrnet_w32.pose_coco_256x192": (256, 192)}


@cache
def planned(name):
    """The tensors of a network and its plan. Its weights do not matter here, and drawing them takes a second."""
    with without_init(), torch.no_grad():
        net = create_model(name)
        for tensor in net.state_dict().values():
            tensor.fill_(1)
    return named_tensors(net), make_plan(net, torch.zeros(1, 3, *NETS[name]))


@by_any_isa
@pytest.mark.parametrize("name", NETS)
def test_few_threads_have_little_to_wait_for(name, isa):
    tensors, plan = planned(name)
    compiled = NativeExecutor(tensors, isa=isa).prepare(plan).__self__
    total = sum(map(sum, compiled.native.shares(1)))
    for threads, least in {2: 0.95, 4: 0.95, 8: 0.93, 16: 0.8}.items():
        levels = compiled.native.shares(threads)
        assert len(levels) == len(compiled.plan.levels) and all(len(shares) == threads for shares in levels)
        assert sum(map(sum, levels)) == pytest.approx(total)  # every unit is dealt out once
        assert total / threads / sum(map(max, levels)) >= least, threads


@pytest.mark.parametrize(("threads", "least"), [(24, 0.75), (32, 0.7)])
@pytest.mark.parametrize("name", NETS)
def test_many_threads_find_enough_to_do(name, threads, least, monkeypatch):
    tensors, plan = planned(name)
    executor = NativeExecutor(tensors)
    kept = executor.prepare(plan)  # whose packed weights the second one takes

    def busy(run) -> float:
        levels = run.__self__.native.shares(threads)
        return sum(map(sum, levels)) / threads / sum(map(max, levels))

    few = busy(kept)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    many = busy(executor.prepare(plan))
    assert many >= least and many > few


@by_any_isa
@pytest.mark.parametrize("threads", [3, 8, 64])
def test_results_do_not_depend_on_how_work_is_divided(isa, threads, monkeypatch):
    net = fill_weights(create_model("hrnet_w18_small.cls_in1k"))
    x = torch.randn(1, 3, 96, 64)
    plan = make_plan(net, x)
    with torch.inference_mode():
        few = NativeExecutor(named_tensors(net), isa=isa).prepare(plan)([x])
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        many = NativeExecutor(named_tensors(net), isa=isa).prepare(plan)([x])
    assert all(torch.equal(a, b) for a, b in zip(few, many, strict=True))

"""Levels of a plan timed on a CPU, and what its kernels cost beside what they compute."""

from __future__ import annotations

import pytest
import torch

from hrnet_fast import create_model, explain, optimize
from hrnet_fast.engine import profile
from hrnet_fast.engine.cpu.conv_kernels import winograd_cost
from hrnet_fast.engine.executors.native import unsupported
from hrnet_fast.plan import Conv
from hrnet_fast.plan.cost import direct_cost
from hrnet_fast.weights.random import fill_weights, without_init

EXECUTORS = ["onednn", "reference"] + ([] if unsupported() else ["native"])


@pytest.fixture(scope="module")
def model():
    with without_init():
        made = create_model("hrnet_w18_small.cls_in1k")
    return fill_weights(made)


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr(profile, "SECONDS", 0.1)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_level_of_the_plan_is_timed(model, executor):
    x = torch.randn(1, 3, 32, 96)
    fast = optimize(model, executor=executor, example=x)
    found = fast.profile(x)
    assert [level for level, _ in found] == list(range(len(fast.plan_for(x).levels)))
    assert all(us > 0 for _, us in found)


def test_a_longer_level_takes_longer(model):
    fast = optimize(model)
    torch.set_num_threads(1)
    small, large = (dict(fast.profile(torch.randn(1, 3, side, side)))[1] for side in (32, 256))
    assert large > 4 * small


def test_inputs_without_data_are_refused(model):
    with pytest.raises(ValueError, match="the input is on meta"):
        optimize(model).profile(torch.empty(1, 3, 64, 64, device="meta"))


@pytest.mark.skipif("native" not in EXECUTORS, reason="no native kernels here")
@pytest.mark.parametrize("exact", [False, True], ids=["winograd", "exact"])
def test_the_roofline_is_that_of_the_kernels_that_play(model, exact):
    x = torch.randn(1, 3, 64, 96)
    fast = optimize(model, example=x, exact=exact)
    plan = fast.plan_for(x)
    costs = [(fast.executor.cost(plan, item), direct_cost(plan, item)) for item in plan.items()]
    fewer = [ours for ours, direct in costs if ours[0] < direct[0]]
    assert (not fewer) is exact and all(ours[1] >= direct[1] for ours, direct in costs)
    annotated = explain(fast, x)
    assert sum(level.flops for level in annotated.levels) == 2 * sum(direct[0] for _, direct in costs)


@pytest.mark.parametrize(("m", "products", "weights"), [(2, 16 * 5 * 4, 16), (4, 36 * 3 * 2, 36)], ids=["F2", "F4"])
def test_winograd_counts_whole_tiles_and_transformed_weights(m, products, weights):
    module = torch.nn.Sequential(torch.nn.Conv2d(6, 7, 3, padding=1))
    x = torch.randn(2, 6, 9, 7)
    plan = optimize(module, executor="reference", example=x).plan_for(x)
    (item,) = (item for item in plan.items() if isinstance(item, Conv))
    maps = 2 * (6 + 7) * 9 * 7
    assert winograd_cost(plan, item, m) == (2 * products * 6 * 7, maps + weights * 6 * 7)
    assert direct_cost(plan, item) == (2 * 9 * 9 * 7 * 6 * 7, maps + 9 * 6 * 7)

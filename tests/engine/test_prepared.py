"""What is made of a network's weights is for these weights alone, and for few shapes; what copies and results keep."""

import copy

import pytest
import torch
from torch import nn

from hrnet_fast import optimize
from hrnet_fast.engine import prepared
from hrnet_fast.engine.results import empty_result
from tests.networks import small_net
from tests.threads import at_once


def conv(**options):
    net = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    return net, optimize(net, example=(1, 3, 8, 8), **options)


def test_another_layer_is_told_of_before_a_new_shape_is_planned():
    net, fast = conv()
    net[0] = nn.Conv2d(3, 6, 5)
    with pytest.raises(RuntimeError, match="call its refresh"):
        fast.plan_for(torch.empty(1, 3, 9, 9))


def test_the_least_recently_used_plan_goes(monkeypatch):
    _, fast = conv()
    monkeypatch.setattr(fast.executor, "max_plans", 2)
    for size in (8, 9, 8, 10):
        fast(torch.randn(1, 3, size, size))
    assert [shape[-1] for _, shape in fast._prepared.programs] == [8, 10]


def test_results_without_images_carry_no_gradients():
    assert not optimize(small_net())(torch.randn(0, 3, 64, 64)).requires_grad


@pytest.mark.filterwarnings("ignore:an input of an optimized HRNet requires a gradient")
def test_gradients_of_a_network_that_was_converted_by_itself():
    net, fast = conv()
    net.double()
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    for given in (x, x.double()):
        result = fast(given)
        assert torch.equal(result, net(given.double()).to(given.dtype))
        assert result.dtype == given.dtype and torch.autograd.grad(result.sum(), x)[0].any()


def test_maps_of_an_input_in_both_formats_are_contiguous():
    both = torch.randn(2, 1, 8, 6).contiguous(memory_format=torch.channels_last)
    assert both.is_contiguous() and both.is_contiguous(memory_format=torch.channels_last)
    assert empty_result((2, 4, 8, 6), both).is_contiguous()


def test_a_copy_is_asked_for_as_the_first_was():
    twin = copy.deepcopy(conv(exact=True, executor="reference")[1])
    assert (twin.exact, twin.requested_executor, twin.requested_dtype) == (True, "reference", None)


def test_seconds_do_not_limit_the_tuning_of_a_cpu():
    _, fast = conv()
    with pytest.raises(ValueError, match="seconds= limits the tuning on a GPU"):
        fast.tune(torch.randn(1, 3, 8, 8), seconds=1)


def test_a_new_shape_is_planned_once(pose, monkeypatch):
    fast = optimize(pose)
    calls = []
    make_plan = prepared.make_plan
    monkeypatch.setattr(prepared, "make_plan", lambda *a: calls.append(a) or make_plan(*a))
    for size in (64, 96, 64, 96):
        assert fast(torch.randn(1, 3, size, size)).shape[-1] == size // 4
    assert len(calls) == 2


def test_threads_share_one_module(pose):
    fast = optimize(pose)
    inputs = [torch.randn(1, 3, 32 * (1 + i % 3), 64) for i in range(12)]
    expected = [fast(x) for x in inputs]
    fresh = optimize(pose)
    assert all(map(torch.equal, at_once(fresh, inputs), expected))

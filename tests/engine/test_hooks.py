"""What watches the layers of an optimized module sees them: hooks for activations, counters of operations."""

import copy
import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hrnet_fast import optimize, verify
from hrnet_fast.engine import op
from tests.networks import small_net

X = torch.randn(1, 3, 64, 64)


@pytest.fixture
def net():
    return small_net().eval()


@pytest.mark.parametrize("planned", [True, False])
def test_a_hook_that_a_layer_got_since_is_called_until_it_is_removed(planned, net, monkeypatch):
    monkeypatch.setattr(op, "_warned", False)
    fast, seen = optimize(net, example=X if planned else None), []
    with torch.no_grad():
        expected = net(X)
    handles = [
        net.stage4.register_forward_hook(lambda layer, given, maps: seen.append(maps[0].shape)),
        net.conv1.register_forward_pre_hook(lambda layer, given: seen.append(given[0].shape)),
    ]
    with torch.no_grad(), pytest.warns(UserWarning, match="hooks .* watch its layers: the original module runs"):
        assert torch.equal(fast(X), expected)
    assert seen == [X.shape, (1, 16, 16, 16)]
    for handle in handles:
        handle.remove()
    again = fast(X)
    assert len(seen) == 2 and not torch.equal(again, expected)
    assert verify(net, fast, X).passed


def test_a_hook_on_a_layer_keeps_what_gradients_need(net):
    """As class activation maps of a layer, whose network's input requires no gradient."""
    fast, kept = optimize(net), []
    net.stage4.register_forward_hook(lambda layer, given, maps: kept.append(maps[0]))
    assert torch.autograd.grad(fast(X).sum(), kept)[0].abs().sum() > 0


def test_a_hook_of_all_modules_sees_the_layers(net):
    fast, seen = optimize(net), []
    fast(X)
    with torch.nn.modules.module.register_module_forward_hook(lambda layer, *_: seen.append(layer)):
        fast(X)
    assert net.conv1 in seen and net.final_layer in seen and seen[-1] is fast


@pytest.mark.parametrize("of_all", [True, False])
@pytest.mark.filterwarnings("ignore:an input of an optimized HRNet requires a gradient")
def test_a_hook_before_a_layer_is_called_without_any_after_one(of_all, net):
    fast, seen = optimize(net), []
    register = (
        torch.nn.modules.module.register_module_forward_pre_hook if of_all else net.conv1.register_forward_pre_hook
    )
    with register(lambda layer, given: seen.append(layer)):
        fast(X)
    assert net.conv1 in seen


def doubled(layer, given, result):
    return 2 * result


@pytest.mark.filterwarnings("ignore:the network has forward hooks")
@pytest.mark.parametrize("there_before", [True, False])
def test_a_hook_that_changes_results_changes_those_of_copies_too(there_before, net):
    if there_before:
        net.final_layer.register_forward_hook(doubled)
    fast = optimize(net, example=X)
    if not there_before:
        net.final_layer.register_forward_hook(doubled)
    with torch.no_grad():
        expected = net(X)
        assert torch.equal(fast(X), expected)
        assert torch.equal(copy.deepcopy(fast)(X), expected)


def test_a_hook_elsewhere_changes_nothing(net):
    fast, calls = optimize(net), []
    before = fast(X)
    fast.register_forward_hook(lambda *_: calls.append(1))
    torch.nn.Identity().register_forward_hook(lambda *_: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(fast(X), before)
    assert calls == [1]


def test_operations_are_counted_as_the_originals(net):
    fast, counts = optimize(net), []
    for module in (net, fast):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(X)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0

"""Gradients, and transforms of the call, are those of the original in evaluation mode."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from hrnet_fast import optimize, verify
from hrnet_fast.engine import op
from tests.networks import small_net


def test_gradients_take_the_original_and_say_so(pose, monkeypatch):
    monkeypatch.setattr(op, "_warned", False)
    fast = optimize(pose.eval())
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    with pytest.warns(UserWarning, match="the original module runs instead") as warned:
        y = fast(x)
    assert warned[0].filename == __file__
    y.sum().backward()
    assert x.grad.abs().sum() > 0
    assert torch.equal(y, pose(x)) and verify(pose, fast, x.detach()).passed


def test_gradients_are_those_of_evaluation_mode_and_train_nothing():
    pose = small_net()
    fast = optimize(pose.train())
    exact = copy.deepcopy(pose).eval()
    x = torch.randn(2, 3, 64, 64)
    before = pose.bn1.running_mean.clone()
    assert torch.equal(fast(x.clone().requires_grad_()), exact(x))
    assert torch.equal(pose.bn1.running_mean, before) and verify(exact, fast, x).passed


def test_the_original_runs_in_evaluation_mode_also_if_it_was_put_into_training_since():
    pose = small_net().eval()
    fast = optimize(pose)
    exact, x = copy.deepcopy(pose), torch.randn(2, 3, 64, 64)
    before = pose.bn1.running_mean.clone()
    nn.ModuleDict({"backbone": fast}).train()
    assert pose.training and torch.equal(fast(x.clone().requires_grad_()), exact(x))
    assert torch.equal(pose.bn1.running_mean, before) and verify(exact, fast, x).passed


def test_who_puts_it_into_training_with_weights_to_train_is_told():
    parent = nn.ModuleDict({"backbone": optimize(small_net().eval()), "head": nn.Conv2d(17, 5, 1)})
    with pytest.warns(UserWarning, match="an optimized network is not trained.*requires_grad_"):
        parent.train()
    parent.eval()
    parent["backbone"].requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parent.train()


def test_the_original_runs_with_the_tensors_that_it_has_by_then():
    pose = small_net().train()
    fast, x = optimize(pose), torch.randn(1, 3, 64, 64)
    pose.conv1.weight = nn.Parameter(2 * pose.conv1.weight.detach())
    assert torch.equal(fast(x.clone().requires_grad_()), copy.deepcopy(pose).eval()(x))


def forward_tangent(f, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent


@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
        lambda f, x: torch.vmap(f)(x[None]),
        lambda f, x: torch.func.grad(lambda x: f(x).sum())(x),
        lambda f, x: forward_tangent(f, x),
    ],
    ids=["jvp", "vmap", "grad", "forward"],
)
def test_transforms_of_the_call_are_the_originals(transform):
    pose = small_net()
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(transform(optimize(pose.eval()), x), transform(pose, x))

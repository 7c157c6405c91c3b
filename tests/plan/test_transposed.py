"""Transposed convolutions, planned as ordinary ones and a shuffle of pixels."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.plan import Conv, Function, PlanError, make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.exact import assert_exact


class Up(nn.Module):
    """A transposed convolution, batch norms, and what `run` does with them."""

    def __init__(self, run=lambda net, x: net.up(x), bias=True, **geometry):
        super().__init__()
        self.up = nn.ConvTranspose2d(5, 6, bias=bias, **geometry)
        self.norm, self.again = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.last = nn.Conv2d(6, 4, 1)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def plan_of(net, x=None):
    """The plan, after it was seen to compute in float64 what the network computes."""
    fill_weights(net).double()
    x = torch.randn(2, 5, 7, 4, dtype=torch.float64) if x is None else x
    plan = make_plan(net, x)
    with torch.no_grad():
        want = net(x)
        got = ReferenceExecutor(named_tensors(net), torch.float64).run(plan, [x])
    assert_exact(got, want)
    return plan


def kinds(plan):
    return [item.name if isinstance(item, Function) else type(item).__name__ for item in plan.items()]


ENLARGING = [
    dict(kernel_size=4, stride=2, padding=1),  # HigherHRNet, simple baselines
    dict(kernel_size=3, stride=2, padding=1, output_padding=1),
    dict(kernel_size=2, stride=2),
    dict(kernel_size=(2, 4), stride=2, padding=(0, 1)),
    dict(kernel_size=6, stride=2, padding=2),
    dict(kernel_size=1, stride=2, output_padding=1),
    dict(kernel_size=3, stride=3),
    dict(kernel_size=5, stride=3, padding=1),
    dict(kernel_size=8, stride=4, padding=2),
]


@pytest.mark.parametrize("geometry", ENLARGING, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_one_that_enlarges_by_its_stride_is_a_convolution(geometry, bias):
    plan = plan_of(Up(bias=bias, **geometry))
    assert kinds(plan) == ["Conv", "functional.pixel_shuffle"]


@pytest.mark.parametrize("kernel", [1, 3, (3, 5)])
def test_of_stride_one_it_is_a_convolution_alone(kernel):
    padding = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2
    assert kinds(plan_of(Up(kernel_size=kernel, padding=padding))) == ["Conv"]


OTHERS = [
    dict(kernel_size=3, stride=2),
    dict(kernel_size=4, stride=2),
    dict(kernel_size=4, stride=(2, 1), padding=(1, 0)),
    dict(kernel_size=2, stride=2, dilation=2, padding=1, output_padding=1),
    dict(kernel_size=3, padding=0),
    dict(kernel_size=3, padding=1, dilation=2),
    dict(kernel_size=(4, 3), stride=(2, 1), padding=1),
]


@pytest.mark.parametrize("geometry", OTHERS, ids=str)
def test_any_other_is_torchs(geometry):
    assert kinds(plan_of(Up(**geometry))) == ["functional.conv_transpose2d"]


def test_groups_are_torchs():
    net = nn.Sequential(nn.ConvTranspose2d(6, 6, 4, 2, 1, groups=3), nn.BatchNorm2d(6), nn.ReLU())
    assert "functional.conv_transpose2d" in kinds(plan_of(net, torch.randn(2, 6, 7, 4, dtype=torch.float64)))


DECONV = dict(kernel_size=4, stride=2, padding=1)


def test_batch_norm_and_relu_are_merged():
    plan = plan_of(Up(lambda net, x: net.last(F.relu(net.norm(net.up(x)), inplace=True)), **DECONV))
    assert kinds(plan) == ["Conv", "functional.pixel_shuffle", "Conv"]
    conv = next(item for item in plan.items() if isinstance(item, Conv))
    assert conv.norm is not None and conv.relu == "last"
    assert "3x3^2 5>24 relu" in str(plan)


RUNS = {
    "relu without norm": lambda net, x: net.up(x).relu_(),
    "two norms": lambda net, x: net.again(net.norm(net.up(x))),
    "norm after relu": lambda net, x: net.norm(net.up(x).relu()),
    "relu twice": lambda net, x: net.norm(net.up(x)).relu().relu(),
    "read twice": lambda net, x: (lambda y: (net.norm(y).relu(), y))(net.up(x)),
    "normalised twice": lambda net, x: (lambda y: net.norm(y) + net.again(y).relu())(net.up(x)),
    "read between": lambda net, x: (lambda y: (y.relu(), y))(net.norm(net.up(x))),
    "an addend": lambda net, x: net.up(x) + F.interpolate(x[:, :1], scale_factor=2),
    "of a sum": lambda net, x: net.up(x + x.relu()),
    "of a concatenation": lambda net, x: net.up(torch.cat([x[:, :2], F.interpolate(x[:, 2:], x.shape[2:])], 1)),
    "written in place": lambda net, x: net.norm(net.up(x)).add_(1).mul_(2),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_what_else_reads_it(run):
    plan_of(Up(run, **DECONV))
    plan_of(Up(run, kernel_size=2, stride=2))


@pytest.mark.parametrize("kind", [nn.PixelShuffle, nn.PixelUnshuffle])
def test_a_networks_own_shuffles(kind):
    net = nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), kind(2), nn.ReLU(inplace=True))
    plan_of(net, torch.randn(2, 5, 4, 6, dtype=torch.float64))


def test_a_norm_after_a_networks_own_shuffle_stays_there():
    net = nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.PixelShuffle(2), nn.BatchNorm2d(2), nn.ReLU())
    plan_of(net, torch.randn(2, 5, 4, 6, dtype=torch.float64))


def test_maps_of_other_channels_are_refused():
    with pytest.raises(PlanError, match=r"up.weight expects maps of shape \(N, 5, H, W\), but gets \(1, 4, 8, 8\)"):
        make_plan(Up(**DECONV), torch.randn(1, 4, 8, 8))


def test_weights_that_are_not_finite_are_named():
    net = Up(**DECONV)
    with torch.no_grad():
        net.up.weight[1, 2, 3, 0] = torch.nan
    x = torch.randn(1, 5, 4, 4)
    with pytest.raises(ValueError, match=r"'up\.weight' holds NaN or Inf"):
        ReferenceExecutor(named_tensors(net), torch.float32).run(make_plan(net, x), [x])

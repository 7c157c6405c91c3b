"""What a network makes of parameters and numbers while it runs: made anew from the weights, for any dtype."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from hrnet_fast import optimize, verify
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.plan import Constant, PlanError, make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.plan.small import Net, assert_planned

X = torch.randn(2, 3, 9, 7)


def row(net, y, **how):
    return torch.arange(y.shape[3], device=y.device, **how)


def rows(y):
    return torch.linspace(-1, 1, y.shape[2], dtype=y.dtype, device=y.device)


def regions(net, y):
    """A mask of which windows may see each other, as shifted windows make it."""
    image = torch.zeros(1, *y.shape[2:], 1, device=y.device)
    for region, index in enumerate((slice(0, -4), slice(-4, -2), slice(-2, None))):
        image[:, index, 2:, :] = region
    between = image.view(-1, 1) - image.view(-1)
    between = between.masked_fill(between != 0, -100.0).masked_fill(between == 0, 0.0)
    tokens = y.flatten(2).mT
    return (tokens @ tokens.mT + between).softmax(-1) @ tokens


def waves(net, y):
    positions = torch.empty(8, y.shape[2], 1, device=y.device)
    positions[0::2] = torch.sin(row(net, y, dtype=torch.float32)[:1] + torch.arange(9.0, device=y.device)[:, None])
    positions[1::2] = positions[::2].cos()
    return y + positions


def written_in_place(net, y):
    steps, kept = row(net, y), torch.ones_like(y[0, 0], dtype=torch.bool)
    steps += 1
    steps //= 2
    kept[2:4] = False
    kept &= steps < 3
    half = net.scale.detach().clone().clamp_(min=0.25)
    half[:, 0] = 0.5
    return y.masked_fill(kept, 0) * half + y.new_empty(7).copy_(steps).mul_(0.5) * torch.empty_like(y).fill_(3.0)


def normalized(net, y):
    mean, std = torch.as_tensor([0.5, 0.25] * 4, dtype=y.dtype, device=y.device), torch.as_tensor([2.0] * 8)
    return (y - mean.view(-1, 1, 1)) / std.to(y).view(-1, 1, 1)


def counted_up(numbers, times):
    for _ in range(times):
        numbers += 1
    return numbers


MADE = {
    "regions": regions,
    "waves": waves,
    "written in place": written_in_place,
    "zeros": lambda net, y: y + torch.zeros(1),
    "ones like": lambda net, y: y + torch.ones_like(y),
    "full like": lambda net, y: y - torch.full_like(y[:, :1], 0.5),
    "full like by name": lambda net, y: y - torch.full_like(y[:, :1], fill_value=0.5),
    "new": lambda net, y: y + y.new_ones(7) * y.new_full((9, 1), 3.0),
    "new numbers": lambda net, y: torch.rsub(y, 1) * y.new_tensor([1.0, 2.0] * 4).view(8, 1, 1),
    "new numbers by name": lambda net, y: y * y.new_tensor(data=[2.0]) + y.new_full((1,), fill_value=3.0),
    "in inference mode": torch.inference_mode()(lambda net, y: y * torch.zeros(7).fill_(2) + torch.ones_like(y)),
    "numbers": lambda net, y: y * torch.tensor([1.0, 2.0] * 4, device=y.device).view(1, 8, 1, 1),
    "whole numbers": lambda net, y: y * row(net, y),
    "as the map": lambda net, y: y * row(net, y, dtype=y.dtype),
    "cast": lambda net, y: y * row(net, y).to(y.dtype) + row(net, y).type_as(y) + row(net, y).to(y),
    "moved": lambda net, y: y * torch.linspace(-1, 1, 7).to(y.device)[None].repeat(9, 1),
    "a grid": lambda net, y: y * torch.stack(torch.meshgrid(rows(y), row(net, y, dtype=y.dtype), indexing="ij")).sum(0),
    "a grid of a list": lambda net, y: y * torch.meshgrid([row(net, y), torch.arange(9)], indexing="xy")[1],
    "identity": lambda net, y: torch.eye(9, dtype=y.dtype, device=y.device) @ y,
    "of a parameter": lambda net, y: y * net.scale.view(-1).flip(0)[:, None, None].abs().sqrt(),
    "a parameter cast": lambda net, y: nn.functional.conv2d(y, net.d.weight.type_as(y), net.d.bias.to(y)),
    "a parameter's data": lambda net, y: nn.functional.conv2d(y, net.d.weight.data, net.d.bias.detach()),
    "normalized": normalized,
    "counted up": lambda net, y: y * counted_up(torch.zeros(7), 30),
    "counted up in whole numbers": lambda net, y: y * counted_up(torch.zeros(7, dtype=torch.int32), 30),
    "joined": lambda net, y: torch.cat([y, torch.linspace(0, 1, 63).view(1, 1, 9, 7).expand(2, -1, -1, -1).to(y)], 1),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_constants(made):
    assert_planned(lambda net, x: made(net, net.c(x)), X)


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_constants_in_other_dtypes(made):
    net = fill_weights(Net(lambda net, x: made(net, net.c(x))))
    for dtype in (torch.float32, torch.bfloat16):
        report = verify(net, optimize(net, dtype=dtype, example=X), X)
        assert report.passed, str(report)


def test_positions_that_16_bits_do_not_hold_are_rounded_once():
    """What is made of whole numbers is made in float32: 301 is no bfloat16, 301 - 300 is."""
    net = fill_weights(Net(lambda net, x: net.c(x) * (torch.arange(307, dtype=x.dtype, device=x.device) - 300)[300:]))
    with torch.no_grad():
        plan, tensors = make_plan(net, X), named_tensors(net)
        (result,) = ReferenceExecutor(tensors, torch.bfloat16).run(plan, [X])
        expected = net.bfloat16().c(X.bfloat16()) * torch.arange(7, dtype=torch.bfloat16)
    assert torch.equal(result, expected)


def test_a_constant_of_weights_follows_them():
    net = fill_weights(Net(lambda net, x: net.c(x) * net.scale.flatten().view(8, 1, 1)))
    fast = optimize(net, example=X)
    with torch.no_grad():
        net.scale.mul_(3)
    fast.refresh()
    report = verify(net, fast, X)
    assert report.passed, str(report)


def test_constants_of_different_shapes_do_not_share_their_numbers():
    net = fill_weights(Net(lambda net, x: net.c(x) * torch.arange(x.shape[3])))
    fast = optimize(net, example=X)
    for width in (7, 5, 11):
        report = verify(net, fast, torch.randn(1, 3, 9, width))
        assert report.passed, str(report)


def test_arrays_are_not_taken_for_each_other():
    """Of which `repr` shows neither all numbers nor all digits."""
    first, second = np.zeros((1, 8, 9, 70)), np.zeros((1, 8, 9, 70))
    second[0, 4, 4, 35] = 1
    net = Net(lambda net, x: net.c(x) * torch.tensor(first, dtype=x.dtype) + torch.tensor(second, dtype=x.dtype))
    with pytest.raises(PlanError, match="a tensor made outside the network, .* make it a parameter or buffer"):
        make_plan(net, torch.empty(1, 3, 9, 70))


def test_numbers_that_an_earlier_call_left_in_a_cache_are_told():
    places = functools.cache(lambda width: torch.arange(width))
    net = Net(lambda net, x: net.c(x) * places(x.shape[3]))
    make_plan(net, X)
    with pytest.raises(PlanError, match="made .* in an earlier call of it .as functools.cache keeps."):
        make_plan(net, X)


def test_a_plan_holds_calls_and_no_tensors():
    plan = make_plan(Net(lambda net, x: net.c(x) * torch.arange(7)), X)
    (call,) = [call for item in plan.items() for call in getattr(item, "calls", ())]
    assert isinstance(call.args[1], Constant) and "torch.arange" in repr(call.args[1])
    assert make_plan(Net(lambda net, x: net.c(x) * torch.arange(1, 8)), X).digest != plan.digest


class Attention(nn.Module):
    """Self-attention inside windows of a map, with a bias by relative position from a table, and what follows it."""

    def __init__(self, channels: int = 8, heads: int = 2, side: int = 3):
        super().__init__()
        self.heads, self.side = heads, side
        self.norm, self.qkv, self.out = nn.LayerNorm(channels), nn.Linear(channels, 3 * channels), nn.Conv2d(8, 8, 1)
        self.table = nn.Parameter(torch.empty((2 * side - 1) ** 2, heads))
        steps = torch.arange(side)
        across = (steps[:, None] - steps + side - 1).repeat_interleave(side, 0).repeat_interleave(side, 1)
        down = (steps[:, None] - steps + side - 1).repeat(side, side)
        self.register_buffer("index", across * (2 * side - 1) + down)
        self.wide = nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x):
        n, c, h, w = x.shape
        s = self.side
        windows = self.norm(x.permute(0, 2, 3, 1)).view(n, h // s, s, w // s, s, c).permute(0, 1, 3, 2, 4, 5)
        q, k, v = (
            self.qkv(windows.reshape(-1, s * s, c))
            .view(-1, s * s, 3, self.heads, c // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        bias = self.table[self.index.view(-1)].view(s * s, s * s, -1).permute(2, 0, 1)
        shares = (q * (c // self.heads) ** -0.5 @ k.transpose(-2, -1) + bias[None]).softmax(-1)
        y = (shares @ v).transpose(1, 2).reshape(n, h // s, w // s, s, s, c).permute(0, 1, 3, 2, 4, 5)
        return self.out(self.wide(x + y.reshape(n, h, w, c).permute(0, 3, 1, 2)))


@pytest.mark.parametrize("batch", [1, 3])
def test_attention_in_windows_with_a_table_of_positions(batch):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), Attention()).eval()
    for name, tensor in fill_weights(net).state_dict().items():
        if name.endswith("index"):
            tensor.copy_(Attention().index)
    x = torch.randn(batch, 3, 12, 18)
    report = verify(net, optimize(net, example=x), x)
    assert report.passed, str(report)

"""A network of two convolutions, whose forward a test writes, and what its plan computes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.exact import assert_exact


class Net(nn.Module):
    """run: the forward, which gets the network and its inputs."""

    def __init__(self, run: Callable, channels: int = 8):
        super().__init__()
        self.c, self.d = nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.scale = nn.Parameter(torch.empty(1, channels, 1, 1))
        self.register_buffer("mean", torch.empty(1, channels, 1, 1))
        self.run = run

    def forward(self, *inputs):
        return self.run(self, *inputs)


def assert_planned(run: Callable, *inputs: Tensor) -> None:
    """The plan computes in float64 what the network computes."""
    net = fill_weights(Net(run)).double().eval()
    plan = make_plan(net, *inputs)
    inputs = tuple(x.double() for x in inputs)
    with torch.no_grad():
        expected = pytree.tree_leaves(net(*(x.clone() for x in inputs)))
        results = ReferenceExecutor(named_tensors(net), torch.float64).run(plan, inputs)
    assert_exact(results, expected)

"""Users' models around an optimized network, and what they have to give."""

import copy

import timm
import torch
from torch import nn

from hrnet_fast.models import BasicBlock, HighResolutionModule
from hrnet_fast.numerics import judge
from tests.golden import fill
from tests.networks import SMALL

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))
OP = torch.ops.hrnet_fast.run.default


class Larger(nn.Module):
    """A user's model: a layer, the network, layers on all of its results."""

    def __init__(self, net):
        super().__init__()
        self.before, self.net = nn.Conv2d(3, 3, 1), net

    def forward(self, x):
        result = self.net(self.before(x))
        results = result if isinstance(result, (list, tuple)) else [result]
        return [torch.relu(y) + y.mean() for y in results]


class Stage(nn.Module):
    """A user's model around one module: lists of maps in and out."""

    def __init__(self):
        super().__init__()
        self.net = HighResolutionModule(2, BasicBlock, [1, 1], [8, 16], [8, 16], "SUM")

    def forward(self, x):
        high, low = self.net([x, x[:, :, ::2, ::2].repeat(1, 2, 1, 1)])
        return [high + 1, low * 2]


class Nested(nn.Module):
    """make: how it nests its two maps."""

    def __init__(self, make):
        super().__init__()
        self.conv, self.make = nn.Conv2d(3, 4, 3, padding=1), make

    def forward(self, x):
        y = self.conv(x)
        return self.make(y, y.relu())


def timm_small():
    return fill(timm.create_model(SMALL)).eval()


def called(graph):
    return [node.target for node in graph.graph.nodes if node.op == "call_function"]


def assert_same(given, expected):
    assert len(given) == len(expected)
    for a, b in zip(given, expected):
        assert (a.shape, a.stride(), a.dtype) == (b.shape, b.stride(), b.dtype)
        assert torch.equal(a, b)


def assert_as_exact(given, model, x):
    """Where a compiler rounds the user's own layers otherwise: at most twice the error of the model as it is."""
    exact = copy.deepcopy(model).double()(x.double())
    for ours, want, plain in zip(given, exact, model(x), strict=True):
        found = judge(ours, want, [plain])
        assert found.error <= found.allowed, found

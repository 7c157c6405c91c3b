"""Small networks in bfloat16, what plays them by each instruction set, and how exact it must be."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hrnet_fast.engine.executors.amx import AmxExecutor
from hrnet_fast.engine.executors.native import NativeExecutor
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.engine.native_nets import params, poison_arena, refusal, resized

SUMMANDS = ["none", "relu", "same", "first", "two", "nearest", "bilinear", "aligned"]
REFUSED = {isa: refusal(isa) for isa in ("amx-emulated", "amx", "avx512-bf16-emulated", "avx512-bf16")}

by_isa = pytest.mark.parametrize("isa", params(*REFUSED))
on_tiles = pytest.mark.parametrize("isa", params("amx-emulated", "amx"))
in_words = pytest.mark.parametrize("isa", params("avx512-bf16-emulated", "avx512-bf16"))
needs_tiles = pytest.mark.skipif(REFUSED["amx-emulated"] is not None, reason=str(REFUSED["amx-emulated"]))
needs_words = pytest.mark.skipif(
    REFUSED["avx512-bf16-emulated"] is not None, reason=str(REFUSED["avx512-bf16-emulated"])
)


def executor(net, isa):
    """What plays a module by an instruction set."""
    if isa.startswith("amx"):
        return AmxExecutor(named_tensors(net), isa=isa)
    return NativeExecutor(named_tensors(net), "bfloat16", isa=isa)


class Conv(nn.Module):
    """A convolution of x and, in its epilogue, what else it is given."""

    def __init__(self, c_in, c_out, kernel=3, stride=1, summands="none", dilation=1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, min(kernel // 2 * dilation, 1), dilation)
        self.summands = summands

    def sides(self, y):
        """Shapes of the maps that `forward` takes after x, for a convolution of y's shape."""
        n, c, h, w = y.shape
        counts = {"none": 0, "relu": 0, "two": 2}
        half = (n, c, -(-h // 2), -(-w // 2))
        if self.summands in ("same", "first", "two"):
            return [y.shape, half][: counts.get(self.summands, 1)]
        return [half] * counts.get(self.summands, 1)

    def forward(self, x, *sides):
        y = self.conv(x)
        match self.summands:
            case "none":
                return y
            case "relu":
                return y.relu()
            case "same":
                return (y + sides[0]).relu()
            case "first":
                return y.relu() + sides[0]
            case "two":
                return (y + sides[0] + resized(sides[1], y, "bilinear")).relu()
            case mode:
                return (y + resized(sides[0], y, mode)).relu()


def program(net, inputs, isa):
    """The function that plays `net`, its memory poisoned where nothing may be read before it is written."""
    run = executor(net, isa).prepare(make_plan(net, *inputs))
    run(inputs)
    (buffers,) = run.__self__.pool.free
    beyond = run.__self__.read_beyond
    poison_arena(run.__self__)
    for tensor in buffers.tensors[1:]:
        tensor[len(tensor) - beyond :] = torch.nan
    return run


@torch.no_grad()
def check(net, *inputs, isa):
    """Every element is within one rounding to bfloat16 of the float64 result of the same bfloat16 numbers.

    What float32 sums may add to that: a millionth of the sum of all magnitudes. Torch itself errs no less in bfloat16,
    so this is stricter than twice its error, which is asserted too.
    """
    fill_weights(net)
    for parameter in net.parameters():
        if parameter.dim() == 4:  # biases are kept in float32
            parameter.copy_(parameter.bfloat16())
    inputs = [x.bfloat16().float() for x in inputs]
    got = program(net, inputs, isa)(inputs)[0].double()
    plain = copy.deepcopy(net).bfloat16()(*(x.bfloat16() for x in inputs)).double()
    inputs = [x.double() for x in inputs]
    want = net.double()(*inputs)
    for parameter in net.parameters():
        parameter.abs_()
    magnitudes = net(*(x.abs() for x in inputs))
    excess = (got - want).abs() - want.abs() / 256 - magnitudes / 1e6
    assert got.isfinite().all()
    assert excess.max() <= 0, f"{int((excess > 0).sum())} of {excess.numel()} elements, first {excess.argmax()}"
    assert (got - want).norm() <= 2 * (plain - want).norm()


def check_conv(c_in, c_out, size, isa, batch=2, **how):
    net = Conv(c_in, c_out, **how)
    x = torch.randn(batch, c_in, *size)
    check(net, x, *(torch.randn(shape) for shape in net.sides(net.conv(x))), isa=isa)

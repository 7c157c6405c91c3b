"""verify: which errors pass, output by output."""

import torch
from torch import nn

from hrnet_fast import optimize, verify
from hrnet_fast.engine.verify import FLOAT64
from hrnet_fast.weights.random import fill_weights
from tests.plan.small import Net

X = torch.randn(1, 3, 9, 7)


def test_one_wrong_output_of_two_fails():
    net = fill_weights(Net(lambda net, x: (net.c(x), net.d(net.c(x))))).eval()
    fast = optimize(net, example=X)
    forward = fast.forward
    fast.forward = lambda *inputs: [y + place for place, y in enumerate(forward(*inputs))]
    report = verify(net, fast, X)
    assert [output.passed for output in report.outputs] == [True, False] and not report.passed


def test_of_float64_torchs_own_error_is_no_measure():
    net = nn.Sequential(nn.Conv2d(3, 4, 3)).double().eval()
    (output,) = verify(net, optimize(net, example=X.double()), X).outputs
    assert output.allowed == FLOAT64 and output.passed

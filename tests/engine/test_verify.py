"""verify: which errors pass, output by output."""

import pytest
import torch
from torch import nn

from hrnet_fast import optimize, verify
from hrnet_fast.engine.verify import FLOAT64
from hrnet_fast.weights.random import fill_weights
from tests.networks import SMALL, small_net
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


def test_verify_leaves_out_results_without_numbers():
    class Some(nn.Conv2d):
        def forward(self, x):
            y = super().forward(x)
            return y[:, :0], y

    net, x = Some(3, 4, 3), torch.randn(1, 3, 8, 8)
    report = verify(net, optimize(net, example=x), x)
    assert report.passed and [output.name for output in report.outputs] == ["output 1"]
    with pytest.raises(ValueError, match="nothing to compare"):
        verify(net, optimize(net, example=x), x[:0])


def test_verify_tells_of_results_that_are_not_finite():
    pose = small_net()
    pose.eval()
    with torch.no_grad():
        pose.final_layer.weight.fill_(3e38)
    with pytest.raises(ValueError, match="output 0: plain torch's results in float32 are not finite"):
        verify(pose, optimize(pose), torch.randn(1, 3, 64, 64))


def test_verify_reports_levels_and_the_worst_element(pose):
    report = verify(pose, optimize(pose), torch.randn(1, 3, 64, 64), levels=True)
    assert report.passed and len(report.levels) == len(list(optimize(pose).plan_for(torch.empty(1, 3, 64, 64)).items()))
    assert all(level.error < 1e-5 for level in report.levels)
    *rows, verdict = str(report).splitlines()
    assert verdict.startswith("passed: error against float64 at most 2x torch's own in float32")
    assert all(row.endswith("]") and len(row) <= 100 for row in rows[1:])


def test_verify_sees_a_wrong_number(pose):
    fast = optimize(pose)
    x = torch.randn(1, 3, 64, 64)
    forward = fast.forward

    def wrong(*inputs):
        y = forward(*inputs)
        y[0, 3, 2, 1] += 10.0
        return y

    fast.forward = wrong
    report = verify(pose, fast, x)
    assert not report.passed
    assert report.outputs[0].worst_index == (0, 3, 2, 1)
    assert "FAILED" in str(report)


def test_verify_wants_an_optimized_module(pose):
    with pytest.raises(TypeError, match=r"the second one is a PoseHRNet"):
        verify(pose, pose, torch.randn(1, 3, 64, 64))
    with pytest.raises(TypeError, match=r"the first one is a str"):
        verify(SMALL, optimize(pose), torch.randn(1, 3, 64, 64))
    with pytest.raises(TypeError, match="inputs must be tensors, or lists of them, not ndarray"):
        verify(pose, optimize(pose), torch.randn(1, 3, 64, 64).numpy())
    with pytest.raises(TypeError, match=r"give it their inputs too, or shapes such as \(1, 3, 256, 192\)"):
        verify(pose, optimize(pose))

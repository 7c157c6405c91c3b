"""Batch norms that modules write out themselves are folded like torch's own; what only looks like one is not."""

import pytest
import timm
import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

from hrnet_fast import optimize, verify
from hrnet_fast.plan import Conv, Function, PlanError, make_plan
from hrnet_fast.plan.tracing.frozen import frozen_norm
from hrnet_fast.weights.random import fill_weights
from tests.networks import SMALL


class WrittenOut(nn.Module):
    """y = x * scale + shift, from the four buffers; with an epsilon if a subclass has one."""

    def __init__(self, channels: int):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(channels))

    def forward(self, x):
        scale = self.weight * (self.running_var + getattr(self, "eps", 0.0)).rsqrt()
        return x * scale.view(1, -1, 1, 1) + (self.bias - self.running_mean * scale).view(1, -1, 1, 1)


class WithEpsilon(WrittenOut):
    eps = 0.25


class WithBuffer(WrittenOut):
    """Epsilon as a buffer of one number a channel."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.register_buffer("eps", torch.full((channels,), 0.5))


class Doubled(WrittenOut):
    def forward(self, x):
        return 2 * super().forward(x)


class Clamped(WrittenOut):
    def forward(self, x):
        return super().forward(x).clamp(-1000, 1000)


class Centred(WrittenOut):
    def forward(self, x):
        return super().forward(x - x.mean((0, 2, 3), keepdim=True) if x.shape[2] > 1 else x)


class Wide(WrittenOut):
    def forward(self, x):
        return super().forward(x if x.shape[3] < 4 else x * 2)


class Hidden(WrittenOut):
    def forward(self, x):
        scale = self.weight * (self.running_var + 1e-6).rsqrt()
        return x * scale.view(1, -1, 1, 1) + (self.bias - self.running_mean * scale).view(1, -1, 1, 1)


class Wider(WrittenOut):
    def forward(self, x):
        return super().forward(x if x.dtype == torch.float64 else x * 2)


class Tall(WrittenOut):
    def forward(self, x):
        return super().forward(x if x.shape[2] < 40 else x * 2)


class Standing(WrittenOut):
    def forward(self, x):
        raise RuntimeError("no")


def with_norms(kind, model):
    for name, part in model.named_children():
        if isinstance(part, nn.BatchNorm2d):
            setattr(model, name, kind(part.num_features))
        else:
            with_norms(kind, part)
    return model


def filled(net):
    own = {name: t.clone() for name, t in net.named_buffers() if name.endswith("eps")}
    fill_weights(net).load_state_dict(own, strict=False)
    return net


def items(net, x):
    return {type(item) for item in make_plan(net, x).items()}


@pytest.mark.parametrize("kind", [FrozenBatchNorm2d, WrittenOut, WithEpsilon, WithBuffer])
def test_norms_that_are_written_out_are_folded(kind):
    net = filled(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), kind(8), nn.ReLU()))
    x = torch.randn(2, 3, 9, 7)
    assert items(net, x) == {Conv}
    report = verify(net.double(), optimize(net, example=x), x.double())
    assert report.passed, str(report)


def test_a_whole_network_of_them_has_the_plan_of_one_with_torchs():
    plain = timm.create_model(SMALL)
    net, x = filled(with_norms(FrozenBatchNorm2d, timm.create_model(SMALL))), torch.randn(1, 3, 64, 96)
    assert make_plan(net, x).digest == make_plan(plain, x).digest
    report = verify(net, optimize(net, example=x), x)
    assert report.passed, str(report)


@pytest.mark.parametrize("kind", [Doubled, Clamped, Centred, Wide, Hidden, Wider])
def test_what_computes_something_else_is_played_as_it_is_written(kind):
    net, x = filled(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), kind(8))), torch.randn(2, 3, 9, 7) * 5000
    assert items(net, x) == {Conv, Function}
    report = verify(net, optimize(net, example=x), x)
    assert report.passed, str(report)


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("which", ["weight", "bias", "running_mean"])
def test_the_sign_of_each_tensor_matters(which, channels):
    norm = WrittenOut(channels)
    assert frozen_norm(norm) is not None

    class Absolute(WrittenOut):
        def forward(self, x):
            kept = self._buffers[which]
            self._buffers[which] = kept.abs()
            try:
                return super().forward(x)
            finally:
                self._buffers[which] = kept

    assert frozen_norm(Absolute(channels)) is None


def test_a_norm_with_a_forward_of_its_own_is_played_by_it():
    net, x = filled(nn.Sequential(nn.Conv2d(3, 8, 3), WrittenOut(8))), torch.randn(1, 3, 9, 9)
    net[1].forward = lambda x: x * 3
    report = verify(net, optimize(net, example=x), x)
    assert report.passed, str(report)


def test_what_branches_by_the_height_is_no_batch_norm():
    net, x = filled(nn.Sequential(nn.Conv2d(3, 8, 3), Tall(8))), torch.randn(1, 3, 64, 9)
    assert Function in items(net, x)


def test_what_fails_says_so_itself():
    with pytest.raises(PlanError, match="Standing.forward of '1' cannot be planned: no"):
        make_plan(nn.Sequential(nn.Conv2d(3, 8, 3), Standing(8)), torch.empty(1, 3, 9, 9))


def test_epsilons_that_differ_by_channel_are_no_batch_norms():
    net, x = filled(nn.Sequential(nn.Conv2d(3, 8, 3), WithBuffer(8))), torch.randn(1, 3, 9, 9)
    net[1].eps[3] = 2.0
    assert Function in items(net, x)
    report = verify(net, optimize(net, example=x), x)
    assert report.passed, str(report)


def test_it_is_told_whatever_the_default_device():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), WithEpsilon(8))
    torch.set_default_device("meta")
    try:
        plan = make_plan(net, torch.empty(1, 3, 9, 9))
    finally:
        torch.set_default_device(None)
    assert [type(item) for item in plan.items()] == [Conv]

"""Tensors that are plain attributes of a module, or of what it holds."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from torch import nn

import hrnet_fast
from hrnet_fast.engine.versions import Versions
from hrnet_fast.plan import PlanError
from hrnet_fast.plan.tracing.held import Held


class Scaled:
    """Holds tensors, and is no module."""

    def __init__(self):
        self.mean, self.stds = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1), [torch.rand(1, 3, 1, 1) + 1]

    def __call__(self, x):
        return (x - self.mean) / self.stds[0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.scaled = nn.Conv2d(3, 8, 3, padding=1), Scaled()
        self.order, self.gains = torch.tensor([0, 3, 2]), {"first": torch.rand(8, 1, 1)}
        self.register_buffer("shift", torch.rand(3, 1, 1))
        self.same = self.shift

    def forward(self, x):
        return (self.conv(self.scaled(x)) * self.gains["first"])[:, self.order] + self.same


class Keeps(nn.Module):
    """forward: of what it keeps, read and then replaced, or only replaced."""

    def __init__(self, reads: bool, counts: bool = False):
        super().__init__()
        self.conv, self.kept, self.reads = nn.Conv2d(3, 3, 3, padding=1), torch.zeros(1, 3, 8, 8), reads
        self.input, self.counts, self.steps = torch.zeros(1), counts, torch.zeros(1)

    def forward(self, x):
        self.input = x
        if self.counts:
            self.steps.add_(1)
        y = self.conv(x)
        y, self.kept = (y + self.kept if self.reads else y), y
        return y


@pytest.fixture
def image():
    return torch.randn(2, 3, 8, 8)


def test_they_are_planned_and_saved(image, tmp_path):
    model = Net().eval()
    fast = hrnet_fast.optimize(model, example=image)
    assert hrnet_fast.verify(model, fast, image).passed
    hrnet_fast.save(fast, tmp_path / "net.safetensors", image)
    loaded = hrnet_fast.load(tmp_path / "net.safetensors")
    assert torch.equal(loaded(image), fast(image)) and loaded.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("change", [
    lambda net: net.scaled.mean.add_(1), lambda net: setattr(net.scaled, "mean", torch.zeros(1, 3, 1, 1)),
    lambda net: setattr(net, "scaled", Scaled()), lambda net: net.gains.clear(),
    lambda net: net.scaled.stds.__setitem__(0, torch.ones(1)), lambda net: setattr(net, "order", torch.tensor([1])),
])  # fmt: skip
def test_their_changes_are_noticed(change, image):
    fast = hrnet_fast.optimize(Net().eval(), example=image)
    fast(image)
    change(fast.original)
    with pytest.raises(RuntimeError, match="changed after optimize"):
        fast(image)


class BySize(nn.Module):
    """Reads one attribute for small images, and the other for large ones."""

    def __init__(self):
        super().__init__()
        self.conv, self.small, self.large = nn.Conv2d(3, 8, 3, padding=1), torch.rand(1), torch.rand(1)

    def forward(self, x):
        return self.conv(x) * (self.small if x.shape[-1] < 16 else self.large)


def test_those_of_each_plan_are_followed(image):
    fast = hrnet_fast.optimize(BySize().eval(), example=image)
    fast(torch.randn(1, 3, 16, 16))
    fast.original.small.add_(1)
    with pytest.raises(RuntimeError, match="changed after optimize"):
        fast(image)


def test_an_optimizers_fused_steps_are_noticed(image):
    model = Net().eval()
    fast = hrnet_fast.optimize(model, example=image)
    fast(image)
    gain = model.gains["first"]
    gain.grad = torch.ones_like(gain)
    torch.optim.SGD([gain.requires_grad_()], lr=0.1, fused=True).step()
    with pytest.raises(RuntimeError, match="changed after optimize"):
        fast(image)


class Lazy(defaultdict):
    """Makes what it is asked for."""

    def keys(self):
        pytest.fail("was asked for all")

    items = keys

    def __getitem__(self, key):
        self[key] = torch.rand(8, 1, 1)
        return self[key]


def test_dictionaries_are_not_made_to_compute(image):
    model = Net().eval()
    model.lazy, model.gains = Lazy(), defaultdict(lambda: None, model.gains)
    fast = hrnet_fast.optimize(model, example=image)
    model.gains.clear()
    with pytest.raises(RuntimeError, match="changed after optimize"):
        fast(image)
    assert not model.gains and not model.lazy


def test_they_are_followed_from_another_thread_while_they_are_looked_at(monkeypatch):
    versions = Versions(Net())
    versions.follow(["order"])
    monkeypatch.setattr(Held, "replaced", lambda one: versions.follow(["scaled.mean"]))
    assert not versions.changed()


def test_what_a_forward_keeps_is_none_of_the_plan(image):
    model = Keeps(reads=False).eval()
    fast = hrnet_fast.optimize(model, example=image)
    with torch.no_grad():
        model(image)  # keeps another
    assert hrnet_fast.verify(model, fast, image).passed
    with pytest.raises(PlanError, match="replaces its own 'kept'"):
        hrnet_fast.optimize(Keeps(reads=True), example=image)
    with pytest.raises(PlanError, match="writes into its own 'steps'"):
        hrnet_fast.optimize(counting := Keeps(reads=False, counts=True), example=image)
    assert counting.steps == 0

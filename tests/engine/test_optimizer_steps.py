"""Steps of optimizers are told of like other writes, though some write without torch's counting."""

import gc

import pytest
import torch
from torch import nn

from hrnet_fast import optimize, verify
from hrnet_fast.engine import optimizer_steps
from tests.networks import small_net


class ThroughData(torch.optim.Optimizer):
    """As older packages write theirs."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            p.data.sub_(p.grad, alpha=0.1)


OPTIMIZERS = {
    "fused AdamW": lambda ps: torch.optim.AdamW(ps, lr=0.1, fused=True),
    "fused SGD": lambda ps: torch.optim.SGD(ps, lr=0.1, fused=True),
    "foreach": lambda ps: torch.optim.Adam(ps, lr=0.1, foreach=True),
    "through data": ThroughData,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_told_of(name):
    pose = small_net().eval()
    fast, x = optimize(pose, executor="reference"), torch.randn(1, 3, 64, 64)
    optimizer = OPTIMIZERS[name](fast.parameters())
    pose(x).square().mean().backward()
    before = fast(x)
    optimizer.step()
    with pytest.raises(RuntimeError, match="call its refresh"):
        fast(x)
    fast.refresh()
    assert verify(pose, fast, x).passed and not torch.equal(fast(x), before)


def test_other_modules_are_left_alone():
    optimize(small_net(), executor="reference")
    other = nn.Parameter(torch.ones(3))
    other.grad = torch.ones(3)
    torch.optim.SGD([other], lr=0.1, fused=True).step()
    assert other._version == 0


def test_what_was_not_written_is_not_told_of():
    pose = small_net().eval()
    fast = optimize(pose, executor="reference")
    torch.optim.SGD(fast.parameters(), lr=0.1, fused=True).step()  # without gradients
    fast(torch.randn(1, 3, 64, 64))


def test_modules_are_not_kept():
    gc.collect()
    before = len(optimizer_steps._watchers)
    fast = optimize(small_net(), executor="reference")
    assert len(optimizer_steps._watchers) == before + 1
    del fast
    gc.collect()
    assert len(optimizer_steps._watchers) == before


def test_parameters_can_be_swapped():
    pose = small_net().eval()
    fast, x = optimize(pose, executor="reference"), torch.randn(1, 3, 64, 64)
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        pose.double()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    with pytest.raises(RuntimeError, match="call its refresh"):
        fast(x)
    fast.refresh()
    assert verify(pose, fast, x).passed

"""What a network asks of its tensors is answered, or refused where tensors without data cannot know."""

import pytest
import torch

from hrnet_fast.plan import PlanError, make_plan
from tests.plan.small import Net, assert_planned


def test_questions_are_answered():
    def run(net, x):
        y = net.c(x)
        assert (y.ndim, y.dim(), y.size(0), y.shape[1], len(y), y.numel()) == (4, 4, 2, 8, 2, 2 * 8 * 63)
        assert y.is_floating_point() and torch.is_floating_point(y) and y.is_contiguous() and not y.requires_grad
        assert (y.dtype, y.element_size(), y.stride(), y.grad) == (torch.float64, 8, (504, 63, 7, 1), None)
        return y

    assert_planned(run, torch.randn(2, 3, 9, 7))


@pytest.mark.parametrize(
    "ask",
    [lambda y: y.device.type == "cpu", lambda y: y.is_cpu, lambda y: not y.is_meta, lambda y: "meta" not in y.type()],
)
def test_a_network_is_told_of_its_own_device(ask):
    assert_planned(lambda net, x: net.c(x) if ask(x) and ask(net.c(x)) else net.d(net.c(x)), torch.randn(2, 3, 9, 7))


def test_moving_to_the_device_of_the_network_is_no_move():
    assert_planned(lambda net, x: net.c(x).to("cpu") + x.to(x.device).mean(), torch.randn(2, 3, 9, 7))
    with pytest.raises(PlanError, match="Tensor.to gives a tensor on meta, but the network is on cpu"):
        make_plan(Net(lambda net, x: net.c(x).to("meta")), torch.empty(2, 3, 9, 7))


@pytest.mark.parametrize("attribute", ["_version", "_base"])
def test_what_a_tensor_without_data_cannot_know_is_refused(attribute):
    with pytest.raises(PlanError, match=f"{attribute}.* is not understood by the planner"):
        make_plan(Net(lambda net, x: getattr(net.c(x), attribute)), torch.empty(2, 3, 9, 7))

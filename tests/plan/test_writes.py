"""What a network writes in place: planned with the numbers of torch, or refused; never overlooked."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.plan import PlanError, make_plan
from hrnet_fast.weights.random import fill_weights
from tests.plan.small import Net, assert_planned


def residual(net, x):
    y = net.c(x)
    z = net.d(y)
    z += y
    return F.relu(z, inplace=True)


def chain(net, x):
    y = net.c(x).relu_().view(x.shape[0], -1)
    y.relu_()
    return y


def copied(net, x):
    y = net.c(x)
    z = y.clone()
    z.relu_()
    return net.d(y) + z


def same_object(net, x):
    y = z = net.c(x)
    z += net.d(y)
    return y


def into_the_input(net, x):
    x.add_(x)
    return net.c(x)


def around_a_view(net, x):
    y = net.c(x)
    pooled = y.flatten(2).mean(2)
    y.relu_()
    return y, pooled


def add_to_a_slice(net, x):
    y = net.c(x)
    z = net.d(y)
    z[:, :4] += y[:, :4]
    z[:, 1::2] += y[:, 2:3]
    return z, y


def filled_by_a_parameter(net, x):
    torch.zeros(1, 8, 1, 1).copy_(net.mean)
    return net.c(x) * net.mean


def product_in_place(net, x):
    y = net.c(x)
    z = torch.einsum("nchw, nchw -> nchw", y, y)
    z *= 2
    return y + z


def set_slices(net, x):
    y = net.c(x)
    y[:, :4] = 0
    y[..., 1:, -2] = net.d(y)[..., 1:, 0]
    y[0, 1] = net.mean[0, 0]
    return net.d(y)


def through_a_slice(net, x):
    y = net.c(x)
    y[:, 2:6].relu_()
    return net.d(y)


def slice_after_slice(net, x):
    y = net.c(x)
    first = y[:, :4]
    first.relu_()
    first.add_(1)
    rest = y[:, 4:]
    rest *= 2
    return net.d(y), rest


def joined_by_writing(net, x):
    y = net.c(x)
    joined = torch.zeros(y.shape[0], 16, *y.shape[2:], dtype=y.dtype, device=y.device)
    joined[:, :8] = y
    joined[:, 8:] = net.d(y).relu()
    return joined


def summed_from_zeros(net, x):
    y = net.c(x)
    total = y.new_zeros(y.shape)
    for part in (y, net.d(y)):
        total += part
    return total


def of_rows(net, x):
    """Copies of what repeats may be written to, as may what lies behind it."""
    y = net.c(x)
    rows = y.mean(2, keepdim=True).expand(-1, -1, 9, -1).contiguous()
    rows[:, :, 0] = 1
    more = y.mean(3, keepdim=True).expand(-1, -1, -1, 7)
    y[:, 0] += 1
    return rows, y, more.clone().relu_()


def filled(net, x):
    y, z = net.c(x), torch.empty_like(x)
    y[:, 1].fill_(2)
    y[:, 2:4].zero_()
    y[..., 0].copy_(y[..., 1])
    z.copy_(y[:, :3])
    labels = torch.empty(y.shape[0], 9, 7, dtype=torch.long, device=y.device, memory_format=torch.contiguous_format)
    labels.copy_(y.argmax(1))[:, 0].fill_(5)
    return y, z, labels, y.new_empty(y.shape).copy_(y.mean(1, keepdim=True)), net.c(x).fill_(value=3.0)


@pytest.mark.parametrize(
    "run",
    [residual, chain, copied, same_object, into_the_input, around_a_view, add_to_a_slice, set_slices, through_a_slice,
     slice_after_slice, joined_by_writing, summed_from_zeros, filled_by_a_parameter,
     product_in_place, filled, of_rows],
)  # fmt: skip
@pytest.mark.parametrize("batch", [1, 3])
def test_in_place_operations_have_torchs_numbers(run, batch):
    assert_planned(run, torch.randn(batch, 3, 9, 7))


def overlapping_slices(net, x):
    y = net.c(x)
    a, b = y[:, :5], y[:, 3:]
    a.relu_()
    return b


def slice_of_what_was_written(net, x):
    y = net.c(x)
    a = y[:, :5]
    y.relu_()
    a.add_(1)
    return y


def read_after_an_index_by_truth(net, x):
    y = net.c(x)
    y[True].relu_()  # a copy, but the same as `y[1]` to Python's ==
    return y


def view_of_zeros(net, x):
    zeros = torch.zeros(2, 8, 9, 7)
    part = zeros[:, :4]
    zeros[:, :4] = net.c(x)[:, :4]
    return net.c(x)[:, :4] + part


def zeros_written_often(net, x):
    zeros = torch.zeros(200)
    for index in range(200):
        zeros[index] = index
    return net.c(x) + zeros[:7]


def numbers_squared_often(net, x):
    numbers = torch.ones(7)
    for _ in range(30):
        numbers = numbers * numbers + numbers
    return net.c(x) + numbers


def zeros_seen_by(alias):
    def run(net, x):
        numbers = torch.zeros(7)
        alias(numbers)[0] = 2.0
        return net.c(x) + numbers

    return run


def out_argument(net, x):
    y = net.c(x)
    z = net.d(y)
    torch.add(z, y, out=z)
    return z


def out_outside(net, x):
    z = torch.empty(0)
    torch.sigmoid(net.c(x), out=z)
    return net.c(x)


def through(alias):
    def run(net, x):
        y = net.c(x)
        alias(y).relu_()
        return net.d(y)

    return run


def read_through(alias):
    def run(net, x):
        y = net.c(x)
        z = alias(y)
        y.relu_()
        return net.d(y), z

    return run


def view_of_a_view(net, x):
    y = net.c(x)
    a, b = y.flatten(1), y.transpose(2, 3)
    a.relu_()
    return b


REPEATS = "a part is written of a tensor whose elements share memory, .* write into a clone"


def zeros_that_repeat(net, x):
    zeros = torch.zeros(1, 7).expand(9, 7)
    zeros[0] = 1
    return net.c(x) + zeros


SHARED = "shares memory with a tensor that was written in place"

ALIASES = {
    "view": lambda y: y.view(y.shape),
    "detach": lambda y: y.detach(),
    "data": lambda y: y.data,
    "slice": lambda y: y[:, :4],
    "reshape": lambda y: y.reshape(y.shape[0], -1),
    "contiguous": lambda y: y.contiguous(),
    "permute": lambda y: torch.permute(y, (0, 2, 3, 1)),
    "matrix transpose": lambda y: y.mT,
    "select": lambda y: y.select(1, 0),
    "expand as": lambda y: y.expand_as(y),
    "einsum": lambda y: torch.einsum("nchw -> nhwc", y),
    "channel shuffle": lambda y: F.channel_shuffle(y, 1),
    "dropout": lambda y: F.dropout(y, 0.5, training=False),
}


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (overlapping_slices, SHARED),
        (slice_of_what_was_written, SHARED),
        (read_after_an_index_by_truth, SHARED),
        (view_of_zeros, "a summand is a tensor made outside the network"),
        (zeros_written_often, "a summand is a tensor made outside the network"),
        (numbers_squared_often, "a summand is a tensor made outside the network"),
        (zeros_seen_by(lambda numbers: numbers.data), "a summand is a tensor made outside the network"),
        (zeros_seen_by(torch.Tensor.numpy), "a summand is a tensor made outside the network"),
        (zeros_seen_by(np.asarray), "a summand is a tensor made outside the network"),
        (out_argument, "torch.add gets out=, .* use what it returns instead"),
        (out_outside, "torch.sigmoid gets out="),
        (view_of_a_view, SHARED),
        (lambda net, x: net.c(x).mean(0, keepdim=True).expand(2, -1, -1, -1)[0].mul_(2), REPEATS),
        (lambda net, x: net.c(x)[:, :1].broadcast_to(2, 8, 9, 7)[None].__setitem__((0, slice(0, 1)), 2), REPEATS),
        (lambda net, x: net.c(x).unfold(3, 3, 1)[..., 0].zero_(), REPEATS),
        (lambda net, x: torch.zeros(1, 7).expand(9, 7).__setitem__(0, net.c(x)[0, 0, 0]), REPEATS),
        (zeros_that_repeat, "a summand is a tensor made outside the network"),
        (lambda net, x: net.mean.copy_(net.c(x).mean()), "is the parameter or buffer 'mean'"),
        (lambda net, x: (lambda y: (y[:, 0], y.zero_())[0] + 1)(net.c(x)), SHARED),
        (lambda net, x: net.scale.add_(net.c(x).mean()), "is the parameter or buffer 'scale'"),
        (lambda net, x: bool(net.c(x).sum()), "Tensor.__bool__ is not understood by the planner: it asks for numbers"),
        (lambda net, x: torch.ops.aten.relu_(net.c(x)), "aten.relu_ is not understood"),
        *((through(alias), SHARED) for name, alias in ALIASES.items() if name != "slice"),
        *((read_through(alias), SHARED) for alias in ALIASES.values()),
    ],
)
def test_what_writes_in_any_other_way_is_refused(run, sentence):
    with pytest.raises(PlanError, match=sentence):
        make_plan(Net(run).eval(), torch.empty(2, 3, 9, 7))


def relu_in_place(x: torch.Tensor) -> torch.Tensor:
    return x.relu_()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_write_that_the_tracer_does_not_see_is_noticed():
    write = torch.jit.script(relu_in_place)
    net = Net(lambda net, x: write(net.c(x)))
    with pytest.raises(PlanError, match="writes into a tensor in place that the planner does not see, such as Torch"):
        make_plan(net.eval(), torch.empty(2, 3, 9, 7))


@pytest.mark.parametrize(
    "write",
    [
        lambda net: net.mean.add_(1),
        lambda net: net.mean.__setitem__(0, 1.0),
        lambda net: torch.add(net.mean, 1, out=net.mean),
        lambda net: net.mean.view(-1).add_(1),
        lambda net: net.mean.detach().flatten().__setitem__(0, 1.0),
        lambda net: net.mean.data.zero_(),
    ],
)
def test_a_network_that_writes_into_its_own_buffers_is_refused(write):
    net = fill_weights(Net(lambda net, x: (write(net), net.c(x))[1])).eval()
    before = net.mean.clone()
    with pytest.raises(PlanError, match="the network writes into its own 'mean' when it is called"):
        make_plan(net, torch.empty(2, 3, 9, 7))
    assert torch.equal(net.mean, before)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_planning_does_not_depend_on_the_callers_modes(mode):
    with mode():
        net = Net(residual).eval()
        make_plan(net, torch.empty(2, 3, 9, 7))


@pytest.mark.parametrize(
    "write",
    [
        lambda t, y: t.view(1, 8, 63).__setitem__(slice(None), y.flatten(2)),
        lambda t, y: t.view(1, 8, 63).add_(y.flatten(2)),
        lambda t, y: t.permute(0, 2, 1, 3).mul_(y.permute(0, 2, 1, 3)),
        lambda t, y: t[:, :].relu_().add_(y),
        lambda t, y: t.detach().reshape(1, 8, 9, 7)[:, :4].copy_(y[:, :4]),
        lambda t, y: t.view(1, 8, 9, 7).__setitem__((slice(None), slice(4)), y[:, :4]),
    ],
)
def test_a_refused_write_leaves_the_network_s_own_tensors_as_they_are(write):
    net = Net(lambda net, x: write(net.own, net.c(x)))
    net.register_buffer("own", torch.rand(1, 8, 9, 7))
    before = net.own.clone()
    with torch.no_grad(), pytest.raises(PlanError):
        make_plan(net, torch.randn(1, 3, 9, 7))
    assert torch.equal(net.own, before)


@pytest.mark.parametrize("index", [lambda y: (y.mean((2, 3)) > 0, ..., slice(None)), lambda y: y.mean((1, 2, 3)) > 0])
def test_numbers_are_written_where_a_mask_of_the_first_dimensions_says_so(index):
    def run(net, x):
        y = net.c(x)
        y[index(y)] = 2.0
        return y

    assert_planned(run, torch.randn(2, 3, 9, 7))


@pytest.mark.parametrize("index", [lambda: [0, 2], lambda: (slice(None), torch.tensor([1, 0]))], ids=["list", "tensor"])
def test_what_numbers_select_is_written(index):
    def run(net, x):
        y = net.c(x)
        y[index()] = y[index()] * 2 + 1
        return y

    assert_planned(run, torch.randn(3, 3, 9, 7))

"""Functions of heads and wrappers that torch plays inside a plan: every executor has plain torch's numbers."""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree as pytree

from hrnet_fast import optimize, verify
from hrnet_fast.engine.executors import native
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import PlanError, make_plan
from hrnet_fast.weights.random import fill_weights
from tests.networks import SMALL
from tests.plan.function_cases import FUNCTIONS
from tests.plan.small import Net

EXECUTORS = ["onednn", "reference"] + ([] if native.unsupported() else ["native"])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions(function, batch, executor):
    net = fill_weights(Net(lambda net, x: function(net.c(x)))).eval()
    x = torch.randn(batch, 3, 9, 7)
    report = verify(net, optimize(net, executor=executor, example=x), x, levels=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_antialiased_columns_are_those_of_contiguous_maps(executor):
    """Of channels-last maps one pixel wide torch's own are wrong, so `verify` would allow anything."""
    net = fill_weights(Net(lambda net, x: F.interpolate(net.c(x), (4, 1), mode="bilinear", antialias=True))).eval()
    x = torch.randn(2, 3, 9, 1)
    got, plain = optimize(net, executor=executor, example=x)(x), net(x)
    want = copy.deepcopy(net).double()(x.double())
    assert within_tolerance(relative_l2(got, want), relative_l2(plain, want))


def mean_position(net, y):
    """Heatmaps to coordinates, as regressions by an integral do."""
    weights = y.flatten(2).softmax(-1).view(y.shape)
    columns = torch.arange(y.shape[3], dtype=y.dtype, device=y.device)
    rows = torch.linspace(0, 300, y.shape[2]).to(y)
    return torch.stack([(weights.sum(2) * columns).sum(-1), (weights.sum(3) * rows[None, None]).sum(-1)], -1)


def joined(net, y):
    both = torch.full((y.shape[0], 16, *y.shape[2:]), 0.5, device=y.device, dtype=y.dtype)
    both[:, :8] = y
    both[:, 10:] += net.d(y)[:, 2:]
    return both


def heads_of(y):
    """Maps to what attention takes: (N, 2 heads, H * W, 4 channels)."""
    return y.flatten(2).unflatten(1, (2, 4)).transpose(2, 3)


def attention_by_einsum(net, y):
    weights = torch.einsum("nhic, nhjc -> nhij", heads_of(y), heads_of(net.d(y))) * 4**-0.5
    return torch.einsum("nhij, nhjc -> nhic", weights.softmax(-1), heads_of(y))


def standardised(net, y):
    """A convolution whose weights are made of its parameters at each call."""
    weight = net.d.weight - net.d.weight.mean((1, 2, 3), keepdim=True)
    return F.conv2d(y, weight / weight.flatten(1).std(1)[:, None, None, None], net.d.bias, padding=1)


def dynamic(net, y):
    """One convolution for each image, made of the image."""
    weights = y.mean((2, 3))[:, :, None, None, None] * net.d.weight
    return F.conv2d(y.flatten(0, 1)[None], weights.flatten(0, 1), padding=1, groups=len(y)).view(y.shape)


def enlarged(y, mode="nearest"):
    return F.interpolate(y, size=(18, 14), mode=mode)


OUTSIDE = torch.ones(1)
PARAMETERS = {
    "a parameter": lambda net, y: y + net.scale,
    "a parameter first": lambda net, y: net.scale + y,
    "a parameter in place": lambda net, y: y.add_(net.scale).mul_(net.mean),
    "subtracted": lambda net, y: (y - net.mean) / net.scale,
    "layer norm": lambda net, y: F.layer_norm(y.permute(0, 2, 3, 1), (8,), net.norm.weight, bias=net.norm.bias),
    "group norm": lambda net, y: F.group_norm(y, 2, weight=net.norm.weight, bias=net.norm.bias),
    "joined": lambda net, y: torch.cat((y.mean((0, 2, 3), keepdim=True), net.scale), 1),
    "prelu": lambda net, y: F.prelu(y, net.norm.weight),
    "views of a parameter": lambda net, y: (y - net.mean.flatten().view(1, -1, 1, 1)) / net.scale.abs().sqrt(),
    "sorted by a buffer": lambda net, y: y[:, net.order],
    "by lists": lambda net, y: y[[0, -1]] * net.scale[0, [1, 2, 1]].mean() + y[:, [1, 0], 2:3].amax((1, 2, 3))[0],
    "a table by a buffer": lambda net, y: y + net.norm.bias[net.order.view(-1)][:, None, None],
    "a product with a parameter": lambda net, y: net.d.weight[:, :, 0, 0] @ y.flatten(2),
    "mean position": mean_position,
    "written": joined,
    "resized in two ways": lambda net, y: torch.cat([enlarged(y), enlarged(net.d(y), "bilinear")], 1),
    "many summands": lambda net, y: F.relu(sum(net.d(y) for _ in range(9)) + y),
    "many resized": lambda net, y: torch.cat([enlarged(net.d(y)) for _ in range(10)], 1),
    "a head over many": lambda net, y: F.conv2d(torch.cat([enlarged(y) for _ in range(9)], 1), net.head),
    "a part without elements": lambda net, y: torch.cat([y[:, :, :0].relu(), net.d(y)], 2),
    "attention": lambda net, y: F.scaled_dot_product_attention(heads_of(y), heads_of(net.d(y)), heads_of(y)),
    "attention by einsum": attention_by_einsum,
    "attention of channels": lambda net, y: (
        y * F.conv1d(y.mean((2, 3))[:, None], net.d.weight[:1, :1, 1], padding=1)[:, 0, :, None, None]
    ),
    "planes": lambda net, y: F.conv3d(y[:, None], net.d.weight[:2, None, :5], padding=(2, 1, 1)),
    "instance norm": lambda net, y: F.instance_norm(net.d(F.instance_norm(y)), weight=net.norm.weight, eps=1e-3),
    "instance norm by statistics": lambda net, y: F.instance_norm(
        y, net.norm.running_mean, net.norm.running_var, net.norm.weight, net.norm.bias, False
    ),
    "standardised weights": standardised,
    "weights of the map": dynamic,
    "transposed, of computed weights": lambda net, y: (
        F.conv_transpose2d(y, net.d.weight * 2, None, 2, 1, groups=2, dilation=2),
        F.batch_norm(y, net.norm.running_mean * 2, net.norm.running_var.abs(), net.norm.weight),
    ),
    "norms": lambda net, y: (
        y / torch.norm(y, dim=1, keepdim=True) + y.std(2, keepdim=True) + y.var((1, 3), keepdim=True)
    ),
    "products": lambda net, y: (
        y.flatten(2).bmm(y.flatten(2).mT),
        y[0, :, 0].mm(y[-1, :, 1].T) * net.d.bias[:, None].T,
    ),
    "waves": lambda net, y: y.sin() + torch.cos(torch.arange(7.0, device=y.device)) * y.logsumexp(1, keepdim=True),
    "gated": lambda net, y: F.glu(y, 1) * F.cosine_similarity(y, net.d(y)).unsqueeze(1),
    "patches": lambda net, y: F.unfold(F.channel_shuffle(y, 2), 3, padding=1).view(len(y), 8, 9, 9, 7).mean(2),
    "picked": lambda net, y: (
        y.index_select(1, net.order).repeat_interleave(2, 1).swapaxes(1, 2).movedim(1, 2).select(0, -1)
    ),
    "as another": lambda net, y: y.flatten().view_as(y).relu() + y.flatten(1).reshape_as(y),
    "rotations": lambda net, y: torch.cross(y[:, :3], net.d(y)[:, 5:], dim=1),
    "sampled": lambda net, y: F.grid_sample(y, net.d(y)[:, :2].permute(0, 2, 3, 1).tanh(), align_corners=False),
    "repeated": lambda net, y: (
        y.repeat(1, 2, 1, 1) + y.mean((2, 3), keepdim=True).repeat(1, 2, 1, 1).expand_as(y.repeat(1, 2, 1, 1))
    ),
    "as another of other sides": lambda net, y: net.d(y).view_as(y.flatten(1, 2)) * y.flatten(1, 2),
    "a table by labels": lambda net, y: (
        F.embedding(y.argmax(1), net.d.bias[:, None]) + F.embedding(net.order[:7], net.d.weight[:, 0, 0])[:, :1]
    ),
    "norms and steps": lambda net, y: (
        F.rms_norm(y, (7,)) + torch.linalg.vector_norm(y, dim=1, keepdim=True) + F.local_response_norm(y, 2),
        F.logsigmoid(y) + F.threshold(y, 0, 1) + F.softsign(y) + F.tanhshrink(y) + F.softmin(y, 1),
    ),
    "by other names": lambda net, y: (
        torch.clip(y, -1, 1).multiply(2).subtract(1).divide(3).absolute().negative().clip_(-0.5, 2),
        torch.moveaxis(y, 1, -1).swapdims(1, 2) + 2 ** y.permute(0, 3, 2, 1),
        torch.tile(y, (1, 2)) + torch.hstack([y, y]).mean() + y[:, :1].broadcast_to(y.shape).tile(2),
    ),
    "less common": lambda net, y: (
        torch.lerp(y, y.erf(), 0.3) + torch.addcmul(y, y, y, value=0.5) + y.abs().log1p() + torch.atan2(y, y + 9),
        torch.tensordot(y, net.d.bias, dims=([1], [0])) + torch.cdist(y, y)[:, 0, 0, 0, None, None],
        y.diff(dim=1).prod(1) + y.nan_to_num(0).diagonal(dim1=2, dim2=3).mean() + y.unfold(2, 3, 2).mean(),
        y.scatter_add(1, y.argmax(1, keepdim=True), y).index_add(1, net.order, y).index_fill(1, net.order[:2], 0.5),
        F.avg_pool1d(y.flatten(2), 2) + F.max_pool1d(y.flatten(2), 2).mean() + y.quantile(0.5),
        F.grid_sample(y, F.affine_grid(y[:, 0, :2, :3] + net.mean[0, 0], y.shape, False), align_corners=False),
    ),
    "as NumPy names it": lambda net, y: (
        torch.cat([y.topk(3, axis=1)[0], y.sort(axis=1)[0], y.max(dim=1, keepdims=True)[0]], axis=1),
        y.min(axis=2)[0] + torch.chunk(y, 2, axis=1)[0].mean(axis=(1, 2), keepdims=True)[:, 0],
    ),
    "a size of tensors": lambda net, y: F.interpolate(y, size=(torch.tensor(18), 14)),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("function", PARAMETERS.values(), ids=PARAMETERS)
def test_functions_of_parameters(function, batch, executor):
    net = fill_weights(Net(lambda net, x: function(net, net.c(x)))).eval()
    net.register_buffer("order", torch.arange(8).flip(0))
    net.register_buffer("head", torch.randn(5, 72, 1, 1))
    x = torch.randn(batch, 3, 9, 7)
    report = verify(net, optimize(net, executor=executor, example=x), x, levels=True)
    assert report.passed, str(report)


def test_labels_and_a_zero_with_a_point_are_no_labels():
    net, x = fill_weights(Net(lambda net, x: net.c(x).argmax(1) + 0.0)).eval(), torch.randn(2, 3, 9, 7)
    result = optimize(net, example=x)(x)
    assert result.dtype == torch.float32 and torch.equal(result, net(x))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_convolution_with_two_norms_is_folded_with_each(executor):
    net = Net(lambda net, x: net.norm(net.c(x)) + net.again(net.c(x)))
    net.again, x = nn.BatchNorm2d(8), torch.randn(2, 3, 9, 7)
    report = verify(net, optimize(fill_weights(net).eval(), executor=executor, example=x), x)
    assert report.passed, str(report)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("weights", [False, True])
def test_multi_head_attention(weights, batch, executor):
    """Pixels come first, as they do by default, and the weights may be among the results."""

    def run(net, x):
        pixels = net.c(x).flatten(2).permute(2, 0, 1)
        attended, shares = net.attention(pixels + net.places, pixels, pixels)
        return (attended, shares) if weights else net.d(attended.permute(1, 2, 0).view(len(x), 8, 9, 7))

    net = Net(run)
    net.attention, net.places = nn.MultiheadAttention(8, 2, dropout=0.1), nn.Parameter(torch.empty(63, 1, 8))
    x = torch.randn(batch, 3, 9, 7)
    report = verify(net, optimize(fill_weights(net).eval(), executor=executor, example=x), x, levels=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "run", [lambda net, x, line: x, lambda net, x, line: line, lambda net, x, line: (net.c(x) + line.mean(), line * 2)]
)
def test_inputs_that_are_no_maps_or_all_that_there_is(run, executor):
    net, inputs = fill_weights(Net(run)).eval(), (torch.randn(2, 3, 9, 7), torch.randn(2, 5, 3))
    fast = optimize(net, executor=executor, example=inputs)
    assert verify(net, fast, *inputs).passed
    assert all(y.data_ptr() != x.data_ptr() for y in pytree.tree_leaves(fast(*inputs)) for x in inputs)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("kernel", "width", "padding"), [((3, 3), 4, 0), ((2, 4), 2, 1), ((5, 5), 5, 0)])
@pytest.mark.parametrize(
    "finish", [lambda y, z: y, lambda y, z: y.relu(), lambda y, z: y.relu() + z, lambda y, z: (y + z).relu()]
)
def test_one_column_of_one_channel(finish, kernel, width, padding, executor):
    """Of which oneDNN's channels-last convolutions with strides (1, 2) have wrong numbers, torch's own too."""
    net = Net(lambda net, x: finish(net.first(x), net.last(x))).eval()
    net.first, net.last = (nn.Conv2d(1, 2, kernel, (1, 2), padding) for _ in range(2))
    x = torch.randn(3, 1, 9, width).round()  # of whole numbers, results are exact
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_((4 * parameter).round())
        assert torch.equal(optimize(net, executor=executor, example=x)(x), net(x))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("channels", "size"), [(1, (5, 7)), (16, (1, 1)), (1, (1, 1)), (16, (1, 5))], ids=str)
def test_maps_of_one_channel_or_one_pixel_are_added(channels, size, executor):
    """They are contiguous and channels-last at once, and torch 2.11's oneDNN adds no such map to a convolution."""
    net = Net(lambda net, x: (net.last(net.first(x).relu()) + x).relu()).eval()
    net.first, net.last = nn.Conv2d(channels, 3, 3, padding=1), nn.Conv2d(3, channels, 3, padding=1)
    x = torch.randn(2, channels, *size).round()  # of whole numbers, results are exact
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_((4 * parameter).round())
        assert torch.equal(optimize(net, executor=executor, exact=True, example=x)(x), net(x))


@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 3), (5, 2)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(kernel, dilation, padding):
    conv = nn.Conv2d(3, 8, kernel, padding=padding, dilation=dilation)
    net, x = fill_weights(nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU())).eval(), torch.randn(2, 3, 15, 17)
    report = verify(net, optimize(net, example=x), x)
    assert report.passed, str(report)


@pytest.mark.parametrize("pool", ["max", "avgmax", "catavgmax", "fast", "fastmax"])
def test_global_pools_of_timm(pool):
    model, x = fill_weights(timm.create_model(SMALL, global_pool=pool)).eval(), torch.randn(3, 3, 64, 96)
    report = verify(model, optimize(model, example=x), x)
    assert report.passed, str(report)


def test_results_that_are_none_keep_their_places():
    net, x = (
        Net(lambda net, x: {"map": net.c(x), "aux": None, "pair": (None, net.d(net.c(x)))}).eval(),
        torch.zeros(1, 3, 8, 8),
    )
    fast = optimize(net, example=x)
    result = fast(x)
    assert result["aux"] is None and result["pair"][0] is None and result["pair"][1].shape == (1, 8, 8, 8)


def test_results_that_are_none_may_be_compiled_and_have_gradients():
    net = fill_weights(Net(lambda net, x: (net.c(x), None, [None, net.d(net.c(x))]))).eval()
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    fast = optimize(net, example=x)
    run = torch.compile(fast, backend="eager", fullgraph=True)
    with torch.no_grad():
        first, none, (other_none, second) = run(x)
        assert none is other_none is None and first.shape == second.shape == (1, 8, 8, 8)
    torch.ops.hrnet_fast.run([x], fast._token, "(0,)")[1].sum().backward()
    got, x.grad = x.grad, None
    net(x)[2][1].sum().backward()
    assert torch.equal(got, x.grad)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda net, y: y.view(torch.int32), "Tensor.view reads torch.float32 as torch.int32, which a plan cannot"),
        (lambda net, y: (y > 0).nonzero(), "nonzero is not understood .*: it needs numbers while .* results"),
        (lambda net, y: y[y > 0], "__getitem__ cannot be planned: it needs numbers while .*, as for the size of its"),
        (lambda net, y: torch.where(y > 0), "torch.where cannot be planned: it needs numbers while .* results"),
        (lambda net, y: F.one_hot(y.argmax(1)), "one_hot cannot be planned: it needs numbers while .* results"),
        (lambda net, y: net.d((9 * y).long()), "the input of conv is of torch.int64, but must be of torch.float32"),
        (
            lambda net, y: (y > 0).double() * y,
            "mul gives torch.float64, but a plan's floating-point numbers are all in",
        ),
        (lambda net, y: y.gt_(0), "a tensor of torch.float32 is to hold a result of torch.bool, .* compute a new one"),
        (lambda net, y: y.split([1, 2], 1), r"split gets sizes \[1, 2\], which do not make up 8"),
        (lambda net, y: y.mul_(y.mean(1)[:, None].expand(-1, 2, -1, -1)), "cannot be planned|cannot hold"),
        (lambda net, y: y.mean(1, keepdim=True).add_(y), "of shape .* cannot hold a result of"),
        (
            lambda net, y: F.scaled_dot_product_attention(y, y, y, None, 0.1),
            "gets dropout_p, .* 0 unless self.training",
        ),
        (lambda net, y: F.instance_norm(y, net.norm.running_mean, net.norm.running_var), "use_input_stats=self.train"),
        (lambda net, y: F.embedding(y.argmax(1), net.d.bias[:, None], max_norm=0.1), "max_norm, by which it writes"),
        (lambda net, y: y + OUTSIDE, "a tensor made outside the network, .* make it a parameter or buffer"),
        (lambda net, y: y * float(torch.rand(1)), "rand is not understood .*: it draws random numbers, and a plan"),
        (lambda net, y: y + torch.zeros(1).normal_(), "normal_ is not understood .*: it draws random numbers"),
        (lambda net, y: y + torch.randn_like(y), "randn_like is not understood .*: it draws random numbers"),
        (lambda net, y: y[:, net.order > 3], "__getitem__ cannot be planned: it needs numbers while"),
    ],
)
def test_what_stays_refused_is_said(function, sentence):
    net = Net(lambda net, x: function(net, net.c(x)))
    net.register_buffer("order", torch.arange(8).flip(0))
    with pytest.raises(PlanError, match=sentence):
        make_plan(net.eval(), torch.empty(1, 3, 9, 7))


def test_what_torch_refuses_is_refused():
    net = Net(lambda net, x: F.interpolate(net.c(x), size=(4, 4), scale_factor=2.0))
    with pytest.raises(ValueError, match="only one of size or scale_factor should be defined"):
        make_plan(net, torch.empty(1, 3, 9, 7))

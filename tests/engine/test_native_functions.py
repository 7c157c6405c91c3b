"""What the native executor plays beside convolutions and sums, means and linear layers; and the caller's tensors."""

from math import ceil

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hrnet_fast import create_model, explain, optimize, verify
from hrnet_fast.engine.cpu.compiled import DTYPES
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.executors.native import NativeExecutor
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.engine.native_nets import EXTENSION, by_any_isa

NO_NATIVE = native.unsupported()
pytestmark = [
    pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE)),
    pytest.mark.usefixtures("whole_batches"),
]

MEANS = {
    "mean": lambda x: x.mean(dim=(2, 3)),
    "list": lambda x: torch.mean(x, [-2, -1]),
    "kept": lambda x: x.mean((3, 2), keepdim=True).flatten(1),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    "pair": lambda x: F.adaptive_avg_pool2d(x, (1, 1)).view(x.size(0), -1),
    "pooled": lambda x: F.avg_pool2d(x, kernel_size=x.size()[2:]).view(x.size(0), -1),
}
OTHERS = {
    "one axis": lambda x: x.mean(2),
    "other axes": lambda x: x.mean((1, 2)),
    "smaller": lambda x: F.avg_pool2d(x, 2),
    "three": lambda x: F.adaptive_avg_pool2d(x, 3),
    "turned": lambda x: x.mean((2, 3)).transpose(0, 1),
    "permuted": lambda x: F.adaptive_avg_pool2d(x, 1).permute(1, 0, 2, 3),
}


class Head(nn.Module):
    """A convolution, what `pool` does to it, and a linear layer."""

    def __init__(self, pool, channels: int = 37, classes: int | None = 11, bias: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, 1, 1)
        self.pool = pool
        self.classifier = nn.Linear(channels, classes, bias) if classes else nn.Identity()

    def forward(self, x):
        return self.classifier(self.pool(self.conv(x).relu()))


def reasons(fast, x) -> str:
    return "; ".join(f"{level.executor}: {level.reason}" for level in explain(fast, x).levels)


def check(net, x) -> str:
    fast = optimize(fill_weights(net), executor="native", example=x)
    report = verify(net, fast, x)
    assert report.passed, str(report)
    return reasons(fast, x)


@pytest.mark.parametrize("pool", MEANS.values(), ids=MEANS)
def test_every_way_to_write_a_global_mean_is_played(pool):
    said = check(Head(pool), torch.randn(2, 3, 7, 5))
    assert "1 mean" in said and "1 linear" in said and "torch" not in said


@pytest.mark.parametrize("pool", OTHERS.values(), ids=OTHERS)
def test_other_means_are_torchs(pool):
    for batch in (2, 37):  # 37 images have as many channels: shapes do not tell a transpose
        assert "torch: " in check(Head(pool, classes=None), torch.randn(batch, 3, 6, 8))


def test_a_linear_layer_of_more_than_two_dimensions_is_torchs():
    net = Head(lambda x: x.flatten(2).transpose(1, 2), channels=11)
    assert "1 linear" not in check(net, torch.randn(2, 3, 6, 8))


class Doubled(nn.Linear):
    """A linear layer whose bias is no parameter of it."""

    def forward(self, x):
        return F.linear(x, self.weight, self.bias * 2)


def test_a_linear_layer_with_a_bias_that_is_made_is_torchs():
    net = Head(MEANS["mean"])
    net.classifier = Doubled(37, 11)
    assert "1 linear" not in check(net, torch.randn(2, 3, 6, 8))


def test_a_mean_of_many_pixels_errs_no_more_than_torchs():
    check(Head(MEANS["mean"]), torch.randn(2, 3, 96, 128))


@pytest.mark.parametrize("exact", [False, True])
def test_long_sums_err_no_more_than_torchs(exact):
    """The pyramid's 3x3 convolutions of 256 channels, 2304 products each, by direct kernels where maps are small."""
    net = fill_weights(create_model("hrnet_w18.det_coco"))
    report = verify(net, optimize(net, executor="native", exact=exact), torch.randn(1, 3, 224, 320))
    assert report.passed, str(report)


@by_any_isa
@pytest.mark.parametrize("batch", [1, 3, 25])
@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (8, 17), (129, 48), (2048, 1000)])
def test_classifiers(isa, batch, channels, classes):
    dtype = DTYPES[EXTENSION.cpu_isa_traits(isa).element_bytes]
    net = fill_weights(Head(MEANS["mean"], channels, classes, bias=channels > 1)).to(dtype)
    draws = [torch.randn(batch, 3, 7, 6).to(dtype) for _ in range(ceil(50 / (batch * classes)))]
    run = NativeExecutor(named_tensors(net), isa=isa).prepare(make_plan(net, draws[0]))
    results = []
    for x in draws:
        results += run([x])
        for buffers in run.__self__.pool.free:
            for level in run.__self__.plan.levels:
                for item in level.items:
                    buffers.views[item.out].fill_(torch.nan)
    with torch.no_grad():
        plain = [net(x) for x in draws]
        exact = [net.double()(x.double()) for x in draws]
    assert all(result.is_contiguous() for result in results)
    assert within_tolerance(relative_l2(results, exact), relative_l2(plain, exact))


class Enlarged(nn.Module):
    """A map whose channels become pixels, and what convolves them."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.conv = nn.Conv2d(3, channels * side**2, 3, 1, 1)
        self.shuffle, self.last = nn.PixelShuffle(side), nn.Conv2d(channels, 4, 3, 1, 1)

    def forward(self, x):
        y = self.shuffle(self.conv(x).relu())
        return y, self.last(y)


@by_any_isa
@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("channels", [1, 5, 16, 33])
def test_channels_become_pixels(isa, side, channels):
    dtype = DTYPES[EXTENSION.cpu_isa_traits(isa).element_bytes]
    net, x = fill_weights(Enlarged(channels, side)).to(dtype), torch.randn(3, 3, 7, 6).to(dtype)
    plan = make_plan(net, x)
    run = NativeExecutor(named_tensors(net), isa=isa).prepare(plan)
    assert len(run.__self__.parts) == 1  # torch plays nothing
    results = run([x])
    with torch.no_grad():
        plain = net(x)
        exact = net.double()(x.double())
    assert within_tolerance(relative_l2(results, exact), relative_l2(plain, exact))


def test_a_shuffle_that_does_not_fit_its_maps_is_refused():
    program = EXTENSION.CpuProgram()
    small, large = program.add_map(0, 0, 1, 4, 4, 8), program.add_map(0, 1000, 1, 8, 8, 3)
    with pytest.raises(ValueError, match="a shuffle's result has s times the sides"):
        program.add_shuffle(large, small)


def test_a_transposed_convolution_is_native():
    net = nn.Sequential(nn.ConvTranspose2d(3, 37, 4, 2, 1), nn.BatchNorm2d(37), nn.ReLU(inplace=True))
    said = check(net, torch.randn(2, 3, 7, 5))
    assert "1 shuffle" in said and "torch" not in said


class Both(nn.Module):
    """A map, and the classes read from it."""

    def __init__(self):
        super().__init__()
        self.conv, self.classifier = nn.Conv2d(3, 19, 3, 2, 1), nn.Linear(19, 5)

    def forward(self, x):
        y = self.conv(x)
        return y, self.classifier(y.mean((2, 3)))


WAYS = {
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "every second": lambda x: x.repeat_interleave(2, 3)[:, :, :, ::2],
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "sliced": lambda x: F.pad(x, (1, 2, 3, 1))[:, :, 3:-1, 1:-2],
    "more channels": lambda x: torch.cat([x, x], 1)[:, 3:],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_callers_tensor_may_have_any_strides(way):
    x = torch.randn(3, 3, 9, 14)
    fast = optimize(fill_weights(Both()), executor="native", example=x)
    want, got = fast(x), fast(way(x))
    assert all(torch.equal(a, b) for a, b in zip(want, got))
    assert all(y.is_contiguous(memory_format=torch.channels_last) for y in fast(WAYS["channels_last"](x))[:1])


def test_one_image_expanded_to_a_batch():
    x = torch.randn(1, 3, 9, 14)
    fast = optimize(fill_weights(Both()), executor="native", example=x)
    for one, many in zip(fast(x), fast(x.expand(4, -1, -1, -1))):
        assert torch.equal(one.expand_as(many), many)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes_are_converted(dtype):
    x = torch.randn(2, 3, 9, 14).to(dtype)
    fast = optimize(fill_weights(Both()), executor="native", example=x)
    for given, wide in zip(fast(x), fast(x.float())):
        assert given.dtype == dtype and torch.equal(given, wide.to(dtype))

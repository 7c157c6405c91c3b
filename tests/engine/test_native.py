"""The native executor: whole networks, any number of threads, and when it steps aside."""

import copy
import gc
import weakref
from functools import cache, partial

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, kernels, optimize, verify
from hrnet_fast.engine import choose
from hrnet_fast.engine.cpu import compiled
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.executors.native import NativeExecutor
from hrnet_fast.kernels import Extension
from hrnet_fast.numerics import flatten_outputs, judge
from hrnet_fast.weights.random import fill_weights, without_init
from tests.engine.native_nets import EPILOGUES, Net, by_isa, poison_arena

NO_NATIVE = native.unsupported()
pytestmark = pytest.mark.usefixtures("whole_batches")
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))


def check(net, x):
    fill_weights(net)
    fast = optimize(net, executor="native", example=x)
    report = verify(net, fast, x)
    assert report.passed, str(report)
    assert all(level.executor in ("native", "torch") for level in explain(fast, x).levels)


@needs_native
@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_epilogues(kernel, stride, epilogue):
    check(Net(5, 18, kernel, stride, epilogue), torch.randn(2, 5, 11, 14))


@cache
def network(tag):
    with without_init():
        model = create_model(f"hrnet_w18_small.{tag}")
    return fill_weights(model)


@pytest.fixture
def with_isa(monkeypatch):
    """Makes executors for one instruction set."""
    return lambda isa: monkeypatch.setattr(choose, "NativeExecutor", partial(NativeExecutor, isa=isa))


@by_isa
@pytest.mark.parametrize(
    ("tag", "size"),
    [("pose_coco_256x192", (64, 96)), ("seg_cityscapes", (70, 97)), ("cls_in1k", (96, 64)), ("det_coco", (64, 96))],
    ids=["pose", "seg", "cls", "det"],
)
def test_networks(with_isa, isa, tag, size):
    with_isa(isa)
    model, x = network(tag), torch.randn(2, 3, *size)
    fast = optimize(model, executor="native", example=x)
    report = verify(model, fast, x)
    assert report.passed, str(report)
    reasons = [level.reason for level in explain(fast, x).levels if level.executor == "native"]
    assert len(reasons) > 20 and all(reason.startswith(native.ISA_NAMES[isa]) for reason in reasons)


@by_isa
@pytest.mark.parametrize("tag", ["pose_coco_256x192", "seg_ocr_lip", "det_coco", "cls_in1k"])
def test_results_are_the_same_for_any_number_of_threads(with_isa, isa, tag):
    with_isa(isa)
    model, x = network(tag), torch.randn(2, 3, 96, 64)
    fast = optimize(model, executor="native")
    results = []
    for count in (1, 2, 3, 5):
        torch.set_num_threads(count)
        results.append(flatten_outputs(fast(x)))
    if tag == "pose_coco_256x192":
        assert all(torch.equal(y, results[0][0]) for (y,) in results)
    else:  # what torch itself computes (softmax, linear, pooling) may depend on the threads
        plain, exact = flatten_outputs(model(x)), flatten_outputs(copy.deepcopy(model).double()(x.double()))
        for found in (judge(y, want, [own]) for given in results for y, want, own in zip(given, exact, plain)):
            assert found.error <= found.allowed, found


@needs_native
def test_every_thread_takes_over_the_callers_arithmetic():
    net, x = nn.Conv2d(3, 8, 1, bias=False).eval(), torch.full((1, 3, 96, 96), 1e-20)
    nn.init.constant_(net.weight, 1e-20)
    if not torch.set_flush_denormal(False):
        pytest.skip("torch cannot flush denormals here")
    torch.set_num_threads(4)
    fast = optimize(net, executor="native", example=x)
    kept = fast(x)
    torch.set_flush_denormal(True)
    flushed = fast(x)
    torch.set_flush_denormal(False)
    assert kept.all() and not flushed.any() and torch.equal(fast(x), kept)


@needs_native
def test_a_plan_that_nobody_holds_is_freed_at_once_with_its_weights(monkeypatch):
    net, x = fill_weights(Net(3, 8)).eval(), torch.randn(1, 3, 9, 7)
    fast = optimize(net, executor="native", example=x)
    plans = weakref.WeakSet()
    made = compiled.CompiledPlan.__init__
    monkeypatch.setattr(
        compiled.CompiledPlan, "__init__", lambda self, *a, **k: (plans.add(self), made(self, *a, **k))[1]
    )
    gc.disable()
    try:
        for _ in range(3):
            fast.refresh()
            fast(x)
        assert len(plans) == 1
    finally:
        gc.enable()


@needs_native
def test_maps_that_torch_made_are_freed_with_the_call():
    class Softmax(nn.Conv2d):
        def forward(self, x):
            return torch.softmax(super().forward(x), 1)

    fast, x = (
        optimize(Softmax(3, 8, 1).eval(), executor="native", example=torch.empty(1, 3, 9, 7)),
        torch.randn(1, 3, 9, 7),
    )
    fast(x)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(each) is torch.Tensor for each in gc.get_objects())
        for _ in range(5):
            fast(x)
        assert sum(type(each) is torch.Tensor for each in gc.get_objects()) == before
    finally:
        gc.enable()


def test_buffers_are_made_once():
    fast = optimize(network("pose_coco_256x192"), executor="native")
    x = torch.randn(1, 3, 64, 64)
    first = fast(x)
    program = next(p.run.__self__ for p in reversed(fast._prepared.programs.values()))
    buffers = program.pool.free[0]
    poison_arena(program)  # nothing else is read that the same call has not written
    assert torch.equal(fast(x), first)
    assert program.pool.free == [buffers]


FOREIGN = {
    "padding": (lambda: nn.Conv2d(12, 12, 5, padding=2), "pads by more than one pixel"),
    "dilation": (lambda: nn.Conv2d(12, 12, 3, padding=2, dilation=2), "pads by more than one pixel"),
    "groups": (lambda: nn.Conv2d(12, 12, 3, padding=1, groups=4), "is grouped"),
    "depthwise": (lambda: nn.Conv2d(12, 12, 3, 2, 1, groups=12), "is grouped"),
}


class Among(nn.Module):
    """A convolution that the kernels do not know, among ten that they do, and a sum that is not of maps."""

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.before = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 12, 12, 3, padding=1) for i in range(5)))
        self.conv, self.norm, self.beside = conv, nn.BatchNorm2d(12), nn.Conv2d(12, 12, 1, conv.stride)
        self.after = nn.Sequential(*(nn.Conv2d(12, 12, 3, padding=1) for _ in range(10)))
        self.first, self.second = nn.Linear(12, 100), nn.Linear(12, 100)

    def forward(self, x):
        y = self.before(x)
        z = torch.relu(self.norm(self.conv(y)) + self.beside(y))
        z = self.after(z + self.norm(z))
        means = z.mean((2, 3))
        return z, self.first(means) + self.second(means)


@needs_native
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("conv", "why"), FOREIGN.values(), ids=FOREIGN)
def test_torch_plays_a_convolution_that_the_kernels_do_not_know_and_that_is_said(conv, why, dtype, exact, batch):
    net, x = fill_weights(Among(conv())), torch.randn(batch, 3, 22, 19)
    fast = optimize(net, dtype=dtype, example=x, executor="native", exact=exact)
    report = verify(net, fast, x, levels=True)
    assert report.passed, str(report)
    assert fast(x)[0].is_contiguous() and torch.equal(
        fast(x)[1], fast(x.contiguous(memory_format=torch.channels_last))[1]
    )
    plan = explain(fast, x)
    assert any(f"conv {why}" in level.reason for level in plan.levels)
    assert any("is not of maps" in level.reason for level in plan.levels)
    assert "native" in {level.executor for level in plan.levels} and plan.map_bytes


@needs_native
@pytest.mark.parametrize(("conv", "why"), FOREIGN.values(), ids=FOREIGN)
def test_what_does_not_suit_it_is_played_by_onednn_and_says_why(conv, why):
    net = nn.Sequential(conv(), nn.ReLU())
    x = torch.randn(1, 12, 12, 12)
    fast = optimize(net, example=x)
    plan = explain(fast, x)
    assert plan.levels[0].executor == "onednn" and why in plan.levels[0].reason and plan.map_bytes is None
    assert verify(net, fast, x).passed


def test_without_the_extension_onednn_plays_and_says_why(monkeypatch):
    monkeypatch.setattr(kernels, "extension", lambda: Extension(None, "none", "the C++ extension was not built", {}))
    choose._tell.cache_clear()
    model = create_model("hrnet_w18_small.features")
    with pytest.warns(UserWarning, match="torch computes, as .* kernels .* cannot: the .* was not built"):
        level = explain(model).levels[0]
    assert (level.executor, level.reason) == (
        "onednn", "oneDNN convolutions in float32: float32; the C++ extension was not built"
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="executor='native' cannot be used: the C\\+\\+ extension was not built"):
        optimize(model, executor="native")

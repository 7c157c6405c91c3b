"""The native executor: every convolution and sum it can meet, any number of threads, and when it steps aside."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast import create_model, explain, kernels, optimize, verify
from hrnet_fast.engine.executors import native
from hrnet_fast.kernels import Extension
from tests.golden import fill

NO_NATIVE = native.unsupported()
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))


class Net(nn.Module):
    """One convolution, and what may stand in its epilogue."""

    def __init__(self, c_in, c_out, kernel, stride, epilogue):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)
        self.side = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)
        self.epilogue = epilogue

    def forward(self, x):
        y = self.conv(x)
        match self.epilogue:
            case "none":
                return y
            case "relu":
                return y.relu()
            case "residual":
                return (y + self.side(x)).relu()
            case "first":
                return y.relu() + self.side(x).relu()
            case mode:
                low = self.side(F.avg_pool2d(x, 2, 2, ceil_mode=True))
                align = None if mode == "nearest" else mode == "aligned"
                how = "nearest" if mode == "nearest" else "bilinear"
                return (y + F.interpolate(low, size=y.shape[-2:], mode=how, align_corners=align)).relu()


def check(net, x):
    fill(net)
    fast = optimize(net, executor="native", example=x)
    report = verify(net, fast, x)
    assert report.passed, str(report)
    assert all(level.executor in ("native", "torch") for level in explain(fast, x).levels)


@needs_native
@pytest.mark.parametrize("epilogue", ["none", "relu", "residual", "first", "nearest", "bilinear", "aligned"])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_epilogues(kernel, stride, epilogue):
    check(Net(5, 18, kernel, stride, epilogue), torch.randn(2, 5, 11, 14))


@needs_native
@pytest.mark.parametrize("c_out", [1, 15, 16, 17, 18, 30, 32, 36, 44, 48, 64, 72, 80, 97, 720])
def test_output_channels(c_out):
    check(Net(7, c_out, 3, 1, "residual"), torch.randn(1, 7, 5, 9))


@needs_native
@pytest.mark.parametrize("c_in", [1, 3, 4, 18, 30, 33, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (13, 25)])
def test_input_channels_and_sizes(c_in, size):
    check(Net(c_in, 36, 3, 1, "relu"), torch.randn(3, c_in, *size))


@needs_native
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches(batch):
    check(Net(6, 33, 3, 2, "residual"), torch.randn(batch, 6, 9, 7))


@needs_native
@pytest.mark.parametrize("tag", ["pose_coco_256x192", "seg_ocr_lip", "det_coco", "cls_in1k"])
def test_results_are_the_same_for_any_number_of_threads(tag):
    fast = optimize(fill(create_model(f"hrnet_w18_small.{tag}")), executor="native")
    x = torch.randn(2, 3, 96, 64)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3, 5):
            torch.set_num_threads(count)
            y = fast(x)
            results.append([y] if isinstance(y, torch.Tensor) else list(y))
    finally:
        torch.set_num_threads(threads)
    # What torch itself computes (softmax, linear, pooling) may depend on the threads; convolutions and sums may not.
    exact = tag == "pose_coco_256x192"
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert torch.equal(a, b) if exact else torch.allclose(a, b, rtol=1e-5, atol=1e-5)


@needs_native
def test_buffers_are_made_once():
    fast = optimize(fill(create_model("hrnet_w18_small.pose_coco_256x192")), executor="native")
    x = torch.randn(1, 3, 64, 64)
    first = fast(x)
    program = next(p.run.__self__ for p in reversed(fast._programs.values()))
    buffers = program.free[0]
    with torch.inference_mode():
        buffers.tensors[0].fill_(torch.nan)  # nothing is read that the same call has not written
    assert torch.equal(fast(x), first)
    assert program.free == [buffers]


@needs_native
@pytest.mark.parametrize(
    ("conv", "why"),
    [
        (nn.Conv2d(4, 8, 5, padding=2), "pads by more than one pixel"),
        (nn.Conv2d(4, 8, 3, padding=1, groups=2), "is grouped"),
    ],
    ids=["padding", "groups"],
)
def test_what_does_not_suit_it_is_played_by_onednn_and_says_why(conv, why):
    net = nn.Sequential(conv, nn.ReLU())
    x = torch.randn(1, 4, 12, 12)
    fast = optimize(net, example=x)
    level = explain(fast, x).levels[0]
    assert level.executor == "onednn" and why in level.reason
    assert verify(net, fast, x).passed


def test_without_the_extension_onednn_plays_and_says_why(monkeypatch):
    monkeypatch.setattr(kernels, "extension", lambda: Extension(None, "none", "the C++ extension was not built", {}))
    model = create_model("hrnet_w18_small.features")
    level = explain(model).levels[0]
    assert (level.executor, level.reason) == (
        "onednn", "oneDNN convolutions in float32: float32; the C++ extension was not built"
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="executor='native' cannot be used: the C\\+\\+ extension was not built"):
        optimize(model, executor="native")


@needs_native
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda p: p.add_sum(3, 0, 4, [], "none"), "there is no map of that index"),
        (lambda p: p.add_sum(0, 2, 4, [], "none"), "the channels do not fit the result"),
        (lambda p: p.add_sum(0, 0, 4, [(1, "cubic", False)], "none"), "needs mode 'nearest' or 'bilinear'"),
        (lambda p: p.add_sum(0, 0, 4, [(0, "", False)] * 9, "none"), "at most 8 summands"),
        (lambda p: p.add_sum(0, 0, 4, [(0, "", False)], "always"), "relu must be"),
        (
            lambda p: p.add_conv(0, 1, 0, 0, (3, 3), (1, 1), (1, 1), (1, 1), [], "none", 0, 0),
            "the result's size is not",
        ),
        (lambda p: p.add_conv(0, 0, 0, 0, (5, 5), (1, 1), (2, 2), (1, 1), [], "none", 0, 0), "pads by more than one"),
        (lambda p: p.add_conv(0, 0, 0, 0, (3, 3), (1, 1), (1, 1), (1, 1), [], "none", 3, 24), "F\\(2x2\\) and F"),
        (lambda p: p.add_conv(1, 0, 0, 0, (3, 3), (2, 2), (1, 1), (1, 1), [], "none", 2, 24), "F\\(2x2\\) and F"),
        (lambda p: p.add_conv(0, 0, 0, 0, (3, 3), (1, 1), (1, 1), (1, 1), [], "none", 4, 0), "F\\(2x2\\) and F"),
    ],
    ids=["map", "channels", "mode", "summands", "relu", "size", "padding", "F(3x3)", "stride", "group"],
)
def test_a_program_refuses_what_it_cannot_play(call, sentence):
    program = kernels.extension().module.CpuProgram()
    program.add_map(0, 0, 1, 6, 6, 4)
    program.add_map(0, 0, 1, 3, 3, 4)
    program.add_level()
    with pytest.raises(ValueError, match=sentence):
        call(program)

"""The class CpuProgram called directly with what it cannot play: one sentence each, never a crash; and odd inputs."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, kernels, optimize, verify
from hrnet_fast.engine.executors import native
from tests.golden import fill

NO_NATIVE = native.unsupported()
pytestmark = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))

SIZE = 8 * 8 * 4  # elements of a map of 1 x 6 x 6 x 4 with its border
ONE, THREE = (1, 1), (3, 3)


def span(tensor):
    return tensor.data_ptr(), tensor.numel()


class Case:
    """A program with maps of 6x6 and 3x3 pixels in one buffer, and weights of a 3x3 convolution of 4 channels."""

    def __init__(self):
        self.program = kernels.extension().module.CpuProgram()
        self.program.add_map(0, 0, 1, 6, 6, 4)
        self.program.add_map(0, SIZE, 1, 3, 3, 4)
        self.program.add_map(0, SIZE + 100, 1, 6, 6, 4)
        self.program.add_level()
        lanes = kernels.extension().module.cpu_isa_traits().lanes
        self.weights, self.bias = torch.randn(9 * 4 * lanes), torch.zeros(lanes)
        self.winograd = {m: torch.randn((m + 2) ** 2 * 4 * lanes) for m in (2, 3, 4)}
        self.buffer = torch.randn(2 * SIZE + 100)

    def conv(
        self, out=2, source=0, kernel=THREE, stride=ONE, padding=ONE, dilation=ONE, m=0, group=0, plain=False, **spans
    ):
        weights = spans.get("weights") or span(self.winograd.get(m, self.weights))
        bias = spans.get("bias") or span(self.bias)
        self.program.add_conv(
            out, source, weights, bias, kernel, stride, padding, dilation, [], "none", m, group, plain
        )  # fmt: skip

    def add(self, out=0, channel=0, channels=4, terms=((0, "", False),), relu="none"):
        self.program.add_sum(out, channel, channels, list(terms), relu)

    def run(self, buffers=None, begin=0, end=1):
        self.program.run([span(self.buffer)] if buffers is None else buffers, begin, end)


@pytest.fixture
def case():
    return Case()


@pytest.mark.parametrize(
    "geometry", [{}, *({"m": m, "group": 12} for m in (2, 3, 4))], ids=["direct", "2x2", "3x3", "4x4"]
)
def test_what_fits_is_played(case, geometry):
    case.conv(**geometry)
    case.buffer[SIZE + 100 :] = torch.nan
    case.run()
    assert case.buffer[SIZE + 100 :].isfinite().all()


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ((-1, 0, 1, 6, 6, 4), "a buffer's index is from 0"),
        ((1 << 20, 0, 1, 6, 6, 4), "a buffer's index is from 0"),
        ((0, -64, 1, 6, 6, 4), "offset that is not negative"),
        ((0, 0, 0, 6, 6, 4), "needs a positive size"),
        ((0, 0, 1, 0, 6, 4), "needs a positive size"),
        ((0, 0, 1, 6, -6, 4), "needs a positive size"),
        ((0, 0, 1, 6, 6, 0), "needs a positive size"),
        ((0, 0, 1 << 40, 1 << 40, 1 << 40, 4), "within the first 2\\^48 elements"),
        ((0, (1 << 63) - 1, 1, 6, 6, 4), "within the first 2\\^48 elements"),
    ],
    ids=["buffer", "huge-buffer", "offset", "batch-0", "height-0", "width", "channels-0", "overflow", "huge-offset"],
)
def test_maps(case, numbers, sentence):
    with pytest.raises(ValueError, match=sentence):
        case.program.add_map(*numbers)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"out": 3}, "there is no map of that index"),
        ({"out": -1}, "there is no map of that index"),
        ({"channel": 2}, "the channels do not fit the result"),
        ({"channel": -1}, "the channels do not fit the result"),
        ({"channels": 0}, "the channels do not fit the result"),
        ({"channel": 1, "channels": (1 << 63) - 1}, "the channels do not fit the result"),
        ({"terms": [(1, "cubic", False)]}, "needs mode 'nearest' or 'bilinear'"),
        ({"terms": [(1, "", False)]}, "needs mode 'nearest' or 'bilinear'"),
        ({"terms": [(7, "", False)]}, "there is no map of that index"),
        ({"terms": [(0, "", False)] * 9}, "at most 8 summands"),
        ({"channels": 3}, "another batch or number of channels"),
        ({"relu": "always"}, "relu must be"),
    ],
    ids=["map", "negative-map", "channel", "negative-channel", "no-channels", "overflow", "mode", "no-mode",
         "summand", "nine-summands", "summand-channels", "relu"],
)  # fmt: skip
def test_sums(case, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        case.add(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": 1}, "the result's size is not"),
        ({"kernel": (5, 5), "padding": (2, 2)}, "pads by more than one"),
        ({"padding": (-1, 1)}, "the result's size is not"),
        ({"stride": (0, 1)}, "the result's size is not"),
        ({"stride": (1, -1)}, "the result's size is not"),
        ({"dilation": (0, 1)}, "the result's size is not"),
        ({"kernel": (0, 3)}, "the result's size is not"),
        ({"out": 1, "kernel": (9, 9), "stride": (9, 9)}, "the result's size is not"),
        ({"kernel": (1 << 62, 3), "dilation": (4, 1)}, "the result's size is not"),
        ({"m": 5, "group": 24}, "F\\(3x3\\) and F"),
        ({"out": 1, "stride": (2, 2), "m": 2, "group": 24}, "F\\(3x3\\) and F"),
        ({"m": 4, "group": 0}, "in groups of 1 to 2\\^20"),
        ({"m": 4, "group": 1 << 62}, "in groups of 1 to 2\\^20"),
        ({"weights": (0, 9 * 4 * 16)}, "weights must be [0-9]+ elements"),
        ({"weights": (1 << 20, 5)}, "weights must be [0-9]+ elements .* but are 5"),
        ({"weights": ((1 << 20) + 1, 9 * 4 * 16)}, "weights must be"),
        ({"bias": (1 << 20, 4)}, "biases must be [0-9]+ elements .* but are 4"),
        ({"bias": (0, 16)}, "biases must be"),
    ],
    ids=["size", "padding", "negative-padding", "stride-0", "negative-stride", "dilation-0", "no-kernel",
         "kernel-beyond-the-map", "overflow", "F(5x5)", "winograd-stride", "group-0", "huge-group", "no-weights",
         "few-weights", "misaligned-weights", "few-biases", "no-bias"],
)  # fmt: skip
def test_convolutions(case, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        case.conv(**changes)


def test_weights_of_another_packing(case):
    with pytest.raises(ValueError, match="weights must be"):
        case.conv(m=2, group=12, weights=span(case.weights))
    with pytest.raises(ValueError, match="weights must be"):
        case.conv(m=2, group=12, plain=True, weights=span(case.winograd[2]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: {"begin": -1}, "levels are played from begin to end"),
        (lambda c: {"end": 2}, "levels are played from begin to end"),
        (lambda c: {"begin": 1, "end": 0}, "levels are played from begin to end"),
        (lambda c: {"buffers": []}, "0 buffers were given, but its maps lie in 1"),
        (lambda c: {"buffers": [span(c.buffer[:-1])]}, "buffer 0 must be 612 elements or more, .* but has 611"),
        (lambda c: {"buffers": [(0, 10**6)]}, "buffer 0 must be 612 elements .* at address 0"),
        (lambda c: {"buffers": [(c.buffer.data_ptr() + 2, 10**6)]}, "aligned to their size"),
    ],
    ids=["begin", "end", "reversed", "no-buffers", "short", "null", "misaligned"],
)
def test_runs(case, change, sentence):
    case.conv()
    with pytest.raises(ValueError, match=sentence):
        case.run(**change(case))


OUTSIDE = torch.zeros(4 * 6 * 6)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"index": 3}, "there is no map of that index"),
        ({"bytes": 2}, "is float32, or of the type of the maps"),
        ({"elements": 143}, "smaller than its map"),
        ({"strides": (144, 36, 6, 2)}, "smaller than its map"),
        ({"strides": (144, 36, 6, 1 << 62)}, "smaller than its map"),
        ({"strides": (144, 36, 6, -1)}, "strides are not negative"),
        ({"address": 0}, "smaller than its map"),
        ({"address": OUTSIDE.data_ptr() + 2}, "not aligned to its elements"),
    ],
    ids=["map", "type", "short", "strides", "overflow", "negative-stride", "null", "misaligned"],
)
@pytest.mark.parametrize("which", ["loads", "stores"])
def test_tensors_of_the_callers(case, which, changes, sentence):
    case.conv()
    parts = {"index": 2, "address": OUTSIDE.data_ptr(), "bytes": 4, "elements": 144, "strides": (144, 36, 6, 1)}
    with pytest.raises(ValueError, match=sentence):
        case.program.run([span(case.buffer)], 0, 1, **{which: [tuple((parts | changes).values())]})


@pytest.mark.parametrize("maps", [(1, 0), (0, 1), (2, 0)])
def test_a_mean_is_one_pixel(case, maps):
    with pytest.raises(ValueError, match="a mean is one pixel"):
        case.program.add_mean(*maps)


def test_a_program_that_has_run_does_not_grow(case):
    case.conv()
    case.run()
    for grow in (case.add, case.conv, case.program.add_level, lambda: case.program.add_map(0, 0, 1, 1, 1, 1)):
        with pytest.raises(ValueError, match="has run takes no more maps, levels or items"):
            grow()
    case.run()


def test_levels_without_items_and_runs_of_no_level(case):
    before = case.buffer.clone()
    case.run()
    case.run(begin=1, end=1)
    kernels.extension().module.CpuProgram().run([], 0, 0)
    assert torch.equal(case.buffer, before)


EXHAUSTED = """
import resource, torch
from hrnet_fast import kernels
torch.set_num_threads(2)
program, side = kernels.extension().module.CpuProgram(), 2048
size = (side + 2) ** 2
program.add_map(0, 0, 1, side, side, 1)
program.add_map(0, size, 1, side, side, 1)
lanes = kernels.extension().module.cpu_isa_traits().lanes
weights, bias, buffer = torch.zeros(36 * lanes), torch.zeros(lanes), torch.zeros(2 * size)
span = lambda t: (t.data_ptr(), t.numel())
program.add_level()
program.add_conv(1, 0, span(weights), span(bias), (3, 3), (1, 1), (1, 1), (1, 1), [], "none", 4, 1 << 20, False)
torch.ones(1 << 20).add(1)  # starts the threads
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (64 << 20),) * 2)
for attempt in range(2):
    try:
        program.run([span(buffer)], 0, 1)
    except MemoryError:
        print("refused")
small = kernels.extension().module.CpuProgram()
small.add_map(0, 0, 1, 8, 8, 1)
small.add_map(0, 100, 1, 8, 8, 1)
small.add_level()
small.add_conv(1, 0, span(weights), span(bias), (3, 3), (1, 1), (1, 1), (1, 1), [], "none", 4, 4, False)
small.run([span(buffer)], 0, 1)
print("played")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_room_for_a_thread_is_an_exception():
    done = subprocess.run([sys.executable, "-c", EXHAUSTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\nrefused\nplayed\n"), done.stderr


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return fill(nn.Sequential(nn.Conv2d(3, 18, 3, padding=1), nn.ReLU(), nn.Conv2d(18, 5, 1))).eval()


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3),
        lambda x: x[:, :, ::2, 1::3],
        lambda x: x[1:, :, 3:-2, 1:],
        lambda x: x[:1].expand(3, -1, -1, -1),
        lambda x: x[:, :1].expand(-1, 3, -1, -1),
        lambda x: x.flip(3),
    ],
    ids=["channels_last", "transposed", "strided", "sliced", "expanded-batch", "expanded-channels", "flipped"],
)
def test_layouts_of_inputs(net, layout):
    x = layout(torch.randn(2, 3, 20, 15))
    fast = optimize(net, executor="native", example=x)
    plain = x.clone(memory_format=torch.contiguous_format)
    assert torch.equal(fast(x), fast(plain)) and verify(net, fast, plain).passed


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_dtypes_of_inputs_to_a_float32_module(net, dtype):
    x = torch.randn(2, 3, 9, 14).to(dtype)
    fast = optimize(net, executor="native", example=x.float())
    y = fast(x)
    assert y.dtype == dtype
    assert torch.equal(y, fast(x.float()).to(dtype))


def test_batches_and_sizes_in_turn():
    fast = optimize(fill(create_model("hrnet_w18_small.pose_coco_256x192")), executor="native")
    inputs = [torch.randn(n, 3, h, 64) for n, h in [(1, 64), (3, 64), (1, 96), (2, 64)]]
    first = [fast(x) for x in inputs]
    for x, y in [*zip(inputs, first)] * 2:
        assert torch.equal(fast(x), y)


def test_an_input_that_requires_a_gradient_gets_the_originals(net):
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    fast = optimize(net, executor="native", example=x.detach())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so once a process
        y = fast(x)
    assert torch.equal(y, net(x))
    y.sum().backward()
    assert x.grad is not None
    assert verify(net, fast, x.detach()).passed

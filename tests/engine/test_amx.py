"""bfloat16 on AMX tiles: by the CPU's own where it has them, and by emulated instructions on any CPU with AVX-512."""

import copy
import shutil
import subprocess
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast import create_model, explain, kernels, verify
from hrnet_fast.engine import choose
from hrnet_fast.engine.cpu.pack_amx import pack_amx
from hrnet_fast.engine.executors import amx
from hrnet_fast.engine.executors.amx import AmxExecutor
from hrnet_fast.engine.module import OptimizedModule
from hrnet_fast.env import environment, format_environment
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.testing import fill_weights

pytestmark = pytest.mark.usefixtures("whole_batches")
EXTENSION = kernels.extension().module
SUMMANDS = ["none", "relu", "same", "first", "two", "nearest", "bilinear", "aligned"]


def _refusal(isa):
    if EXTENSION is None:
        return "the C++ extension was not built"
    try:
        EXTENSION.CpuProgram(isa)
    except ValueError as error:
        return str(error)
    return None


REFUSED = {isa: _refusal(isa) for isa in ("amx-emulated", "amx")}
ISAS = [
    pytest.param(isa, marks=pytest.mark.skipif(why is not None, reason=str(why)), id=isa)
    for isa, why in REFUSED.items()
]
by_isa = pytest.mark.parametrize("isa", ISAS)
needs_emulation = pytest.mark.skipif(REFUSED["amx-emulated"] is not None, reason=str(REFUSED["amx-emulated"]))


class Conv(nn.Module):
    """A convolution of x and, in its epilogue, what else it is given."""

    def __init__(self, c_in, c_out, kernel=3, stride=1, summands="none", dilation=1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, min(kernel // 2 * dilation, 1), dilation)
        self.summands = summands

    def sides(self, y):
        """Shapes of the maps that `forward` takes after x, for a convolution of y's shape."""
        n, c, h, w = y.shape
        counts = {"none": 0, "relu": 0, "two": 2}
        half = (n, c, -(-h // 2), -(-w // 2))
        if self.summands in ("same", "first", "two"):
            return [y.shape, half][: counts.get(self.summands, 1)]
        return [half] * counts.get(self.summands, 1)

    def forward(self, x, *sides):
        y = self.conv(x)
        match self.summands:
            case "none":
                return y
            case "relu":
                return y.relu()
            case "same":
                return (y + sides[0]).relu()
            case "first":
                return y.relu() + sides[0]
            case "two":
                return (y + sides[0] + _resized(sides[1], y, "bilinear")).relu()
            case mode:
                return (y + _resized(sides[0], y, mode)).relu()


def _resized(x, like, mode):
    align = None if mode == "nearest" else mode == "aligned"
    return F.interpolate(
        x, size=like.shape[-2:], mode="nearest" if mode == "nearest" else "bilinear", align_corners=align
    )


class Sums(nn.Module):
    """Maps of several sizes, added or put side by side at the size of the first."""

    def __init__(self, mode, concat):
        super().__init__()
        self.mode, self.concat, self.weight = mode, concat, nn.Parameter(torch.ones(1))

    def forward(self, *maps):
        maps = [maps[0], *(_resized(x, maps[0], self.mode) for x in maps[1:])]
        return torch.cat(maps, 1) if self.concat else sum(maps[1:], maps[0]).relu()


def program(net, inputs, isa):
    """The function that plays `net`, its memory poisoned where nothing may be read before it is written."""
    run = AmxExecutor(named_tensors(net), isa=isa).prepare(make_plan(net, *inputs))
    run(inputs)
    (buffers,) = run.__self__.pool.free
    beyond = run.__self__.read_beyond
    buffers.tensors[0].fill_(torch.nan)
    for tensor in buffers.tensors[1:]:
        tensor[-beyond:] = torch.nan
    return run


@torch.no_grad()
def check(net, *inputs, isa="amx-emulated"):
    """Every element is within one rounding to bfloat16 of the float64 result of the same bfloat16 numbers.

    What float32 sums may add to that: a millionth of the sum of all magnitudes. Torch itself errs no less in bfloat16,
    so this is stricter than twice its error, which is asserted too.
    """
    fill_weights(net)
    for parameter in net.parameters():
        if parameter.dim() == 4:  # biases are kept in float32
            parameter.copy_(parameter.bfloat16())
    inputs = [x.bfloat16().float() for x in inputs]
    got = program(net, inputs, isa)(inputs)[0].double()
    plain = copy.deepcopy(net).bfloat16()(*(x.bfloat16() for x in inputs)).double()
    inputs = [x.double() for x in inputs]
    want = net.double()(*inputs)
    for parameter in net.parameters():
        parameter.abs_()
    magnitudes = net(*(x.abs() for x in inputs))
    excess = (got - want).abs() - want.abs() / 256 - magnitudes / 1e6
    assert got.isfinite().all()
    assert excess.max() <= 0, f"{int((excess > 0).sum())} of {excess.numel()} elements, first {excess.argmax()}"
    assert (got - want).norm() <= 2 * (plain - want).norm()


def check_conv(c_in, c_out, size, batch=2, isa="amx-emulated", **how):
    net = Conv(c_in, c_out, **how)
    x = torch.randn(batch, c_in, *size)
    check(net, x, *(torch.randn(shape) for shape in net.sides(net.conv(x))), isa=isa)


@by_isa
@pytest.mark.parametrize("c_in", [1, 3, 18, 30, 32, 36, 44, 64, 96, 720])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (13, 21)], ids="{0[0]}x{0[1]}".format)
def test_input_channels_and_sizes(isa, c_in, size):
    check_conv(c_in, 18, size, batch=3, isa=isa, summands="relu")


@by_isa
@pytest.mark.parametrize("c_out", [1, 15, 16, 17, 18, 30, 32, 36, 44, 64, 96, 720])
def test_output_channels(isa, c_out):
    check_conv(7, c_out, (5, 9), isa=isa, summands="same")


@by_isa
@pytest.mark.parametrize("c", [128, 256])
def test_heavy_weights(isa, c):
    check_conv(c, c, (9, 12), batch=1, isa=isa, summands="same")


@by_isa
@pytest.mark.parametrize("summands", SUMMANDS)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (1, 2)])
def test_epilogues(isa, kernel, stride, summands):
    check_conv(20, 34, (11, 14), isa=isa, kernel=kernel, stride=stride, summands=summands)


@by_isa
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 35), (17, 70), (34, 33)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("c_in", [3, 32, 44])
def test_stride_2(isa, c_in, size):
    check_conv(c_in, 64, size, batch=1, isa=isa, stride=2, summands="relu")


@by_isa
def test_dilation(isa):
    check_conv(12, 20, (9, 14), isa=isa, dilation=2)


@by_isa
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "aligned"])
@pytest.mark.parametrize("concat", [False, True], ids=["sum", "concat"])
@pytest.mark.parametrize("channels", [1, 18, 32, 44])
def test_sums(isa, mode, concat, channels):
    shapes = [(2, channels, 9, 14), (2, channels, 5, 7), (2, channels, 3, 4), (2, channels, 9, 14)]
    check(Sums(mode, concat), *map(torch.randn, shapes), isa=isa)


@by_isa
def test_what_is_not_finite_stays_near(isa):
    net = fill_weights(Conv(18, 20))
    x = torch.randn(1, 18, 12, 15)
    spoiled = x.clone()
    spoiled[0, 3, 6, 9] = torch.nan
    run = AmxExecutor(named_tensors(net), isa=isa).prepare(make_plan(net, x))
    clean, dirty = run([x])[0], run([spoiled])[0]
    assert dirty[0, :, 5:8, 8:11].isnan().all()
    dirty[0, :, 5:8, 7:11] = clean[0, :, 5:8, 7:11]  # and one pixel further left, where a step reads past its tap
    assert torch.equal(clean, dirty)
    assert torch.equal(run([x])[0], clean)


@by_isa
def test_tiles_take_denormals_as_zero(isa):
    net = nn.Conv2d(2, 3, 1)
    nn.init.constant_(net.weight, 2.0**100)
    nn.init.zeros_(net.bias)
    x = torch.tensor([2.0**-130, 2.0**-126]).view(1, 2, 1, 1)
    run = AmxExecutor(named_tensors(net), isa=isa).prepare(make_plan(net, x))
    assert torch.equal(run([x])[0].float(), torch.full((1, 3, 1, 1), 2.0**-26))


@by_isa
@pytest.mark.parametrize("tag", ["pose_coco_256x192", "seg_lip", "cls_in1k"])
def test_whole_networks(isa, tag):
    model = fill_weights(create_model(f"hrnet_w18_small.{tag}"))
    fast = OptimizedModule(model, torch.bfloat16, "reference")
    fast.executor = AmxExecutor(named_tensors(model), isa=isa)
    report = verify(model, fast, torch.randn(1, 3, 64, 64))
    assert report.passed, str(report)


@by_isa
def test_results_are_the_same_for_any_number_of_threads(isa):
    model = fill_weights(create_model("hrnet_w18_small.pose_coco_256x192"))
    x = torch.randn(2, 3, 96, 64)
    run = AmxExecutor(named_tensors(model), isa=isa).prepare(make_plan(model, x))
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            results.append(run([x])[0])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize("joined", [True, False])
def test_weights_lie_in_pairs(joined):
    weight, bias = torch.randn(18, 21, 3, 3), torch.randn(18)
    packed = pack_amx(weight, bias, joined)
    taps, length = (3, 63) if joined else (9, 21)
    steps = -(-length // 32)
    tiles = packed.weights.view(2, taps, steps, 16, 16, 2)
    padded = torch.zeros(32, taps, steps * 32, dtype=torch.bfloat16)
    for y in range(3):
        for x in range(3):
            tap, first = (y, x * 21) if joined else (y * 3 + x, 0)
            padded[:18, tap, first : first + 21] = weight[:, :, y, x]
    for output in (0, 5, 15, 17, 31):
        for value in range(steps * 32):
            pair, half = divmod(value % 32, 2)
            given = tiles[output // 16, :, value // 32, pair, output % 16, half]
            assert torch.equal(given, padded[output, :, value])
    assert torch.equal(packed.bias, F.pad(bias, (0, 14)))


@needs_emulation
def test_bfloat16_modules_are_played_on_tiles_where_there_are_some(monkeypatch):
    monkeypatch.setattr(choose.amx, "unsupported", lambda: None)
    monkeypatch.setattr(choose, "AmxExecutor", partial(AmxExecutor, isa="amx-emulated"))
    net = Conv(5, 8, summands="relu")
    (level,) = explain(net, torch.empty(1, 5, 9, 7), dtype=torch.bfloat16).levels
    assert (level.executor, level.reason) == ("native", "emulated AMX bfloat16: 1 direct, in bfloat16")
    for name, dtype, played_on_tiles in [
        ("auto", torch.bfloat16, True),
        ("native", torch.bfloat16, True),
        ("onednn", torch.bfloat16, False),
        ("reference", torch.bfloat16, False),
        ("auto", torch.float16, False),
        ("auto", torch.float32, False),
    ]:
        executor = choose.make_executor(name, named_tensors(net), dtype, torch.device("cpu"))
        assert isinstance(executor, AmxExecutor) == played_on_tiles


@pytest.mark.skipif(EXTENSION is None or REFUSED["amx"] is None, reason="this CPU has AMX, or nothing was built")
def test_without_tiles_it_says_so():
    assert "need AMX tiles" in amx.unsupported()
    with pytest.raises(ValueError, match="there are no kernels for isa='amx' here"):
        EXTENSION.CpuProgram("amx")


def test_env_names_the_instruction_set_of_bfloat16():
    report = environment()
    report["machine"] |= {"isa": "avx512", "isa_bfloat16": "amx", "isa_asked": None, "isa_refused": None}
    assert "avx512 instructions, amx in bfloat16" in format_environment(report)
    report["machine"]["isa_bfloat16"] = None
    assert "avx512 instructions\n" in format_environment(report)


@needs_emulation
def test_the_emulation_is_never_offered():
    assert "amx-emulated" not in EXTENSION.cpu_program_isas()
    assert EXTENSION.cpu_program_isa_bfloat16() in ("", "amx")


@pytest.mark.skipif(EXTENSION is None, reason="the C++ extension was not built")
def test_the_compiled_kernels_multiply_tiles():
    tool = shutil.which("objdump") or shutil.which("llvm-objdump")
    if tool is None:
        pytest.skip("neither objdump nor llvm-objdump is here")
    listing = subprocess.run([tool, "-d", EXTENSION.__file__], capture_output=True, text=True, check=True).stdout
    for instruction in ("ldtilecfg", "tilezero", "tileloadd", "tdpbf16ps", "tilestored", "tilerelease"):
        assert instruction in listing, instruction


def test_kernels_that_err_are_not_played(monkeypatch):
    """What a process finds out before it plays on tiles the first time."""
    amx.agrees.cache_clear()
    assert amx.agrees("amx-emulated")
    packed = amx.pack_amx
    monkeypatch.setattr(amx, "pack_amx", lambda weight, *args, **how: packed(weight.flip(1), *args, **how))
    amx.agrees.cache_clear()
    assert not amx.agrees("amx-emulated")
    amx.agrees.cache_clear()

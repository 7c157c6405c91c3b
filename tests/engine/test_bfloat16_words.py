"""What is AVX512_BF16's alone: weights in words of two, kernels by Winograd in networks, and where they are chosen."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from hrnet_fast import create_model, explain, verify
from hrnet_fast.engine import choose
from hrnet_fast.engine.cpu import choices, conv_kernels
from hrnet_fast.engine.cpu.choices import candidates
from hrnet_fast.engine.cpu.conv_kernels import DIRECT, Kernel, Shape, allowed
from hrnet_fast.engine.cpu.pack import pack
from hrnet_fast.engine.cpu.tune import Pool, Walk, weight_elements
from hrnet_fast.engine.cpu.winograd import transform_weight
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.executors.native import NativeExecutor
from hrnet_fast.engine.module import OptimizedModule
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.engine.bfloat16_nets import REFUSED, Conv, executor, in_words, needs_words
from tests.engine.native_nets import EXTENSION, disassembled

EMULATED = "avx512-bf16-emulated"


def words_of(values):
    """[taps, length, outputs] -> [taps, words, outputs, 2], as a kernel reads them."""
    values = F.pad(values, (0, 0, 0, values.shape[1] % 2))
    return values.unflatten(1, (-1, 2)).transpose(2, 3).bfloat16()


@pytest.mark.parametrize("inputs", [4, 5])
@pytest.mark.parametrize("joined", [True, False])
def test_weights_of_a_direct_convolution_lie_in_words_of_two(inputs, joined):
    weight, bias = torch.randn(40, inputs, 3, 3), torch.randn(40)
    packed = pack(weight, bias, 16, per_word=2, joined=joined)
    taps = weight.permute(2, 3, 1, 0)  # [row, column, input, output]
    want = words_of(F.pad(taps.flatten(1, 2) if joined else taps.flatten(0, 1), (0, 8)))
    assert torch.equal(packed.weights.view(want.shape), want)  # three vectors are one block
    assert torch.equal(packed.bias, F.pad(bias, (0, 8))) and not packed.plain


@pytest.mark.parametrize("inputs", [4, 5])
def test_weights_of_winograds_lie_in_words_of_two_or_as_they_are(inputs, monkeypatch):
    weight = torch.randn(16, inputs, 3, 3)
    want = words_of(transform_weight(weight, 4).permute(2, 3, 1, 0).flatten(0, 1))
    assert torch.equal(pack(weight, None, 16, Kernel(4, 12), per_word=2).weights.view(want.shape), want)
    monkeypatch.setattr(conv_kernels, "LARGE", 0)
    packed = pack(weight, None, 16, Kernel(4, 12), per_word=2)
    padded = F.pad(weight, (0, 0, 0, 0, 0, inputs % 2))
    assert packed.plain
    assert torch.equal(packed.weights.view(-1, 9, 16), padded.flatten(2).permute(1, 2, 0).bfloat16())


@in_words
@pytest.mark.parametrize("tag", ["pose_coco_256x192", "seg_lip", "cls_in1k"])
def test_networks_by_the_largest_tiles_alone(isa, tag, monkeypatch):
    """Which err most: each network within twice torch's error, too."""
    monkeypatch.setattr(choices, "choose", lambda *_: Kernel(4, 12))
    model = fill_weights(create_model(f"hrnet_w18_small.{tag}"))
    fast = OptimizedModule(model, torch.bfloat16, "reference")
    fast._prepared.executor = executor(model, isa)
    x = torch.randn(2, 3, 64, 64)
    report = verify(model, fast, x)
    assert report.passed, str(report)
    played = "; ".join(level.reason for level in explain(fast, x).levels)
    assert "Winograd F(4x4)" in played and "Winograd F(2x2)" not in played and "bfloat16" in played


def test_a_shallow_network_has_no_winograd_in_bfloat16():
    assert allowed(31, 64, exact=False, per_word=2) == () and allowed(31, 64, exact=False) == (2,)
    assert allowed(32, 64, exact=False, per_word=2) == allowed(32, 64, exact=False) == (2, 3, 4)


def test_direct_convolutions_are_worth_more_where_they_take_two_products_at_once():
    shape = Shape(64, (1, 64, 4, 3), (2, 3, 4), per_word=2)
    assert conv_kernels.work(DIRECT, shape, 16) == conv_kernels.work(DIRECT, replace(shape, inputs=32, per_word=1), 16)
    assert conv_kernels.choose(shape, 16) == DIRECT


@in_words
@pytest.mark.parametrize("kernel", [DIRECT, Kernel(2, 24), Kernel(4, 12)], ids=str)
@pytest.mark.parametrize("inputs", [17, 18])
def test_tuning_walks_through_weights_in_words(isa, kernel, inputs):
    shape, executor = Shape(inputs, (1, 18, 16, 12), (2, 4), 2), NativeExecutor({}, isa=isa)
    pool = Pool(5 * weight_elements(shape, kernel, executor.lanes), torch.bfloat16)
    walk = Walk(shape, kernel, executor.lanes, executor.isa, pool)
    assert walk.copies == 5 and walk() > 0
    assert walk.buffers.views[1].isfinite().all()
    assert shape.signature.startswith(f"bfloat16 3x3 {inputs}->18") and kernel in candidates(shape, kernel, 16)


@needs_words
def test_bfloat16_modules_are_played_in_words_where_that_is_faster(monkeypatch):
    monkeypatch.setattr(choose.amx, "unsupported", lambda: "no tiles")
    monkeypatch.setattr(native, "unsupported_bfloat16", lambda: None)
    monkeypatch.setattr(native, "BFLOAT16", EMULATED)
    net = Conv(5, 8, summands="relu")
    (level,) = explain(net, torch.empty(1, 5, 9, 7), dtype=torch.bfloat16).levels
    assert (level.executor, level.reason) == ("native", "emulated AVX-512 bfloat16: 1 direct, in bfloat16")
    for name, dtype, in_bfloat16 in [
        ("auto", torch.bfloat16, True),
        ("native", torch.bfloat16, True),
        ("onednn", torch.bfloat16, False),
        ("auto", torch.float16, False),
        ("auto", torch.float32, False),
    ]:
        made = choose.make_executor(name, named_tensors(net), dtype, torch.device("cpu"))
        assert (isinstance(made, NativeExecutor) and made.dtype == torch.bfloat16) == in_bfloat16
    assert choose.make_executor("auto", {}, torch.bfloat16, torch.device("cpu"), exact=True).exact


@needs_words
def test_the_rate_decides_and_is_measured():
    rate = EXTENSION.cpu_bfloat16_rate()
    if REFUSED["avx512-bf16"] is not None:
        assert rate == 0.0
    else:
        assert 0.5 < rate < 2.6  # half of the units of float multiplication, or all
    if REFUSED["amx"] is not None:
        assert (EXTENSION.cpu_isa_bfloat16() == "avx512-bf16") == (rate > 1.5)
        assert (native.unsupported_bfloat16() is None) == (rate > 1.5)


@needs_words
def test_denormal_weights_and_maps_do_no_harm():
    """The instruction takes them as zero; the emulation does not."""
    net = Conv(4, 16).bfloat16()
    with torch.no_grad():
        net.conv.weight.fill_(2.0**-130)
    x = torch.full((1, 4, 5, 6), 2.0**-128)
    for isa in (EMULATED, *(["avx512-bf16"] if REFUSED["avx512-bf16"] is None else [])):
        (result,) = NativeExecutor(named_tensors(net), isa=isa).prepare(make_plan(net, x))([x])
        assert torch.equal(result, net.conv.bias.detach().float().view(1, -1, 1, 1).expand_as(result))


def test_the_compiled_kernels_multiply_words():
    listing = disassembled()
    for instruction in ("vdpbf16ps", "vcvtneps2bf16"):
        assert instruction in listing, instruction

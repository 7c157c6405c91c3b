"""What is AMX's alone: its tiles' numbers and weights, and where they are chosen."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast import explain
from hrnet_fast.engine import choose
from hrnet_fast.engine.cpu.pack_amx import pack_amx
from hrnet_fast.engine.executors import amx, onednn
from hrnet_fast.engine.executors.amx import AmxExecutor
from hrnet_fast.env import environment, format_environment
from hrnet_fast.plan import make_plan, named_tensors
from tests.engine.bfloat16_nets import REFUSED, Conv, needs_tiles, on_tiles
from tests.engine.native_nets import EXTENSION, disassembled

CPU = torch.device("cpu")


@on_tiles
def test_tiles_take_denormals_as_zero(isa):
    net = nn.Conv2d(2, 3, 1)
    nn.init.constant_(net.weight, 2.0**100)
    nn.init.zeros_(net.bias)
    x = torch.tensor([2.0**-130, 2.0**-126]).view(1, 2, 1, 1)
    run = AmxExecutor(named_tensors(net), isa=isa).prepare(make_plan(net, x))
    assert torch.equal(run([x])[0].float(), torch.full((1, 3, 1, 1), 2.0**-26))


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


@needs_tiles
def test_bfloat16_modules_are_played_on_tiles_where_there_are_some(monkeypatch):
    monkeypatch.setattr(choose.amx, "unsupported", lambda: None)
    monkeypatch.setattr(choose, "AmxExecutor", partial(AmxExecutor, isa="amx-emulated"))
    net = Conv(5, 8, summands="relu")
    (level,) = explain(net, torch.empty(1, 5, 9, 7), dtype=torch.bfloat16, executor="native").levels
    assert (level.executor, level.reason) == ("native", "emulated AMX bfloat16: 1 direct, in bfloat16")
    for name, dtype, played_on_tiles in [
        ("native", torch.bfloat16, True),
        ("onednn", torch.bfloat16, False),
        ("reference", torch.bfloat16, False),
        ("auto", torch.float16, False),
        ("auto", torch.float32, False),
    ]:
        executor = choose.make_executor(name, named_tensors(net), dtype, CPU)
        assert isinstance(executor, AmxExecutor) == played_on_tiles
    if onednn.unsupported(torch.bfloat16) is None:  # ours have not been measured on hardware, so both are timed
        ours, theirs = choose.make_executor("auto", named_tensors(net), torch.bfloat16, CPU).candidates.values()
        assert isinstance(ours, AmxExecutor) and (theirs.name, theirs.dtype) == ("onednn", torch.bfloat16)


@pytest.mark.skipif(EXTENSION is None, reason="nothing was built")
def test_where_onednn_takes_their_place_it_says_why(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(choose.amx, "unsupported", lambda: "the tiles gave wrong results")
    monkeypatch.setattr(choose.native, "unsupported_bfloat16", lambda: "no words")
    net = Conv(5, 8)
    (level,) = explain(net, torch.empty(1, 5, 9, 7), dtype=torch.bfloat16).levels
    assert level.executor == "onednn" and level.reason.endswith("bfloat16 on AMX tiles; the tiles gave wrong results")
    with pytest.raises(RuntimeError, match="executor='native' cannot be used: the tiles gave wrong results"):
        choose.make_executor("native", named_tensors(net), torch.bfloat16, torch.device("cpu"))


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


@needs_tiles
def test_the_emulation_is_never_offered():
    assert EXTENSION.cpu_isa_bfloat16() in ("", "amx", "avx512-bf16")


def test_the_compiled_kernels_multiply_tiles():
    listing = disassembled()
    for instruction in ("ldtilecfg", "tilezero", "tileloadd", "tdpbf16ps", "tilestored", "tilerelease"):
        assert instruction in listing, instruction


@needs_tiles
def test_kernels_that_err_are_not_played(monkeypatch):
    """What a process finds out before it plays on tiles the first time."""
    amx.agrees.cache_clear()
    assert amx.agrees("amx-emulated")
    packed = amx.pack_amx
    monkeypatch.setattr(amx, "pack_amx", lambda weight, *args, **how: packed(weight.flip(1), *args, **how))
    amx.agrees.cache_clear()
    assert not amx.agrees("amx-emulated")
    amx.agrees.cache_clear()

"""Chains of convolutions on the CUDA level kernel against float64, played by the emulator.

The emulator refuses races, reads of what was not written, and accesses that are out of bounds or not aligned.
"""

import re
from dataclasses import replace

import pytest
import torch

from hrnet_fast.kernels.bordered import BorderedMap
from tests.kernels.bordered_maps import empty_map, random_map, term_maps
from tests.kernels.cuda_cases import How, check, check_orders, check_together, describe, make_conv, make_sum, play
from tests.kernels.cuda_chains import ChainStep, bottleneck, chains, make_chain
from tests.kernels.cuda_emulator import emulate, shared_bytes

DTYPES = [torch.float16, torch.bfloat16, torch.float32]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float16", "bfloat16", "tf32"])
COLUMNS = (16, 24, 32, 40, 48, 64)
HALF = torch.float16


@by_dtype
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 1)], ids=["3x3", "3x3s2", "1x1"])
def test_every_body(columns, kernel, stride, dtype):
    """As a chain's first step and as its last, between the borders of the image and beyond them."""
    step = ChainStep(columns - 4, kernel, stride, columns, chunk=16)
    how = How((4, 8), (1, 1, 8), columns, 16, 2)
    before = make_chain(dtype, 20, [step, ChainStep(18, 1)], (5, 9), how=How((3, 5), (1, 2, 4), 16, stages=2))
    after = make_chain(dtype, 20, [ChainStep(18), step], (5, 9), how=how, terms="=")
    check([before, after], dtype)


@by_dtype
@pytest.mark.parametrize("kept", [False, True], ids=["loaded", "kept"])
@pytest.mark.parametrize("steps", [[ChainStep(40, chunk=16, columns=40)] * 2, bottleneck(18, 40, 24, 16)], ids=len)
def test_blocks(steps, kept, dtype):
    """What HRNet's blocks are: a pair and a bottleneck, with the input as residual."""
    how = How((4, 8), (2, 1, 4), 24, 16, 3)
    check([make_chain(dtype, 40, steps, (10, 13), 2, how, "" if kept else "=", kept)], dtype)


@by_dtype
@pytest.mark.parametrize("steps", [[ChainStep(40, chunk=16, columns=40)] * 2, bottleneck(18, 40, 24, 16)], ids=len)
def test_warpgroups_give_what_warps_give(steps, dtype):
    how = How((8, 12), (4, 2, 1), 24, 16, 3)
    chain = make_chain(dtype, 40, steps, (10, 13), 2, how, kept=True)
    check([chain], dtype)
    alone = chain.out.data.clone()
    chain.out.nchw().fill_(torch.nan)
    for fields in (chain.fields, *(fields for _, fields in chain.before)):
        fields["grouped"] = int(fields["warps_m"] % 4 == 0)
    assert chain.before[0][1]["grouped"]
    check([chain], dtype)
    assert torch.equal(chain.out.data, alone)


@by_dtype
@pytest.mark.parametrize("terms", ["", "=", "b=", "=nc"])
def test_epilogues(terms, dtype):
    for relu, kept in (("none", True), ("first", True), ("last", True), ("last", False)):
        steps = [ChainStep(16, relu=relu), ChainStep(18, relu=relu)]
        check([make_chain(dtype, 18, steps, how=How(columns=24), terms=terms, kept=kept)], dtype)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (2, 2), (17, 13)], ids=str)
def test_small_and_odd_sizes(size, batch):
    for steps in ([ChainStep(8)] * 2, bottleneck(16, 8), [ChainStep(16, stride=2)] * 3):
        kept, tile = steps[-1].channels == 8, (8, 8) if steps[-1].channels == 8 else (2, 2)
        check([make_chain(HALF, 8, steps, size, batch, How(tile), kept=kept)], HALF)


@pytest.mark.parametrize("tile", [(8, 6), (2, 16), (1, 30), (30, 1), (3, 5), (1, 1)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_tiles(tile, stride):
    steps = [ChainStep(16, stride=stride, columns=16), ChainStep(16, columns=16)]
    check([make_chain(HALF, 16, steps, (19, 17), 1, How(tile, columns=16), "n")], HALF)


@by_dtype
@pytest.mark.parametrize("stages", [2, 3, 4])
@pytest.mark.parametrize("chunk", [8, 16, 24])
def test_chunks_and_stages(chunk, stages, dtype):
    """More chunks than stages and fewer, of every step, and several passes of output channels."""
    steps = [ChainStep(48, 1, columns=16, chunk=chunk), ChainStep(24, columns=16, chunk=chunk), ChainStep(40, 1)]
    for kept in (False, True):
        how = How((2, 8), (1, 1, 8), 24, chunk, stages)
        check([make_chain(dtype, 40, steps, how=how, kept=kept)], dtype)


@pytest.mark.parametrize("warps", [(4, 2), (8, 1), (4, 1), (2, 2)], ids=str)
def test_warps_share_pixels_and_channels(warps):
    """Of the first step; those that do not make eight are refused."""
    case = make_chain(HALF, 24, [ChainStep(40, columns=16, warps=warps), ChainStep(24)], (9, 9), kept=True)
    if warps[0] * warps[1] == 8:
        return check([case], HALF)
    with pytest.raises(RuntimeError, match="warps are not 8"):
        check([case], HALF)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@by_dtype
def test_a_pixel_outside_of_the_image_is_zero_whatever_is_beside_it(bad, dtype):
    """NaN at a corner reaches what two convolutions of it reach, and nothing else."""
    case = make_chain(dtype, 16, [ChainStep(16, relu="none"), ChainStep(8, relu="none")], (7, 9))
    source = BorderedMap(case.before[0][0]["source"], (1, 16, 7, 9))
    source.nchw()[0, 3, 0, 0] = bad
    play([[case]], dtype)
    finite = case.out.nchw()[0, 0].isfinite()
    assert not finite[:3, :3].any() and finite[3:].all() and finite[:, 3:].all()


def beside_each_other(dtype):
    """A level of a network: chains, convolutions and a sum."""
    total = term_maps("=n", 1, 18, (5, 3), dtype)
    return [
        make_chain(dtype, 24, [ChainStep(24)] * 2, (9, 7), how=How(stages=2), kept=True),
        make_conv(dtype, 64, 64, size=(4, 3), how=How((4, 6), (1, 1, 8), chunk=32, stages=2), terms="="),
        make_chain(dtype, 40, bottleneck(16, 40), (8, 6), how=How(stages=3), terms="="),
        make_sum(total, empty_map((1, 18, 5, 3), dtype), dtype),
        make_conv(dtype, 36, 18, 1, 1, (8, 6), how=How((8, 8), (2, 1, 4), 24), relu="none"),
    ]


@by_dtype
def test_one_launch_of_many_gives_what_each_gives_alone(dtype):
    check_together(beside_each_other(dtype), dtype)


@by_dtype
def test_every_schedule_and_overlap_gives_the_same_bits(dtype):
    check_orders(chains(dtype), dtype, seeds=3)


def test_a_step_s_tile_has_no_bank_conflicts_where_its_width_is_a_multiple_of_8():
    case = make_chain(HALF, 24, [ChainStep(24, columns=24), ChainStep(40, 1, columns=24)], (8, 16), how=How((4, 16)))
    report = play([[case]], HALF)
    assert report.turns == report.matrices > 0


def test_shared_memory_is_what_the_formula_says():
    pair = make_chain(HALF, 32, [ChainStep(32, columns=16)] * 2, (16, 16), kept=True)
    tables, halo, middle, weights = 32 + 2 * (144 + 128), 12 * 12 * 80, 10 * 10 * 80, 32 * 4 * 9 * 16
    assert shared_bytes(describe([pair]), HALF) == tables + halo + max(middle + 2 * weights, 8 * 32 * 40 * 4)
    how = How((4, 8), (1, 2, 4), 32, stages=2)
    steps = [replace(step, warps=(2, 4)) for step in bottleneck(64, 256, 16, 64)]
    loaded = make_chain(HALF, 256, steps, (16, 16), how=how, terms="=")
    tables = 32 + (32 + 256 + 288 + 256 + 32 + 1024)
    sizes = 2 * 60 * 144, 60 * 144, 4 * 32 * 72 * 4, 2 * 64 * 8 * 9 * 16
    assert shared_bytes(describe([loaded]), HALF) == tables + sizes[0] + max(sizes[1], sizes[2]) + sizes[3]


@pytest.mark.parametrize(
    ("step", "change", "sentence"),
    [
        (0, dict(steps=4), "a chain of 4 steps is not of 1 to 3 of the level's items"),
        (0, dict(steps=3), "a chain of 3 steps is not of 1 to 3 of the level's items"),
        (0, dict(terms=1), "step 0 of a chain, which is not its last, has an output, terms, or warps that share K"),
        (0, dict(out=16), "step 0 of a chain, which is not its last, has an output, terms, or warps that share K"),
        (0, dict(warps_n=1, warps_k=2), "step 0 of a chain, which is not its last, has an output, terms, or warps th"),
        (0, dict(warps_m=2, warps_k=2), "a tile of 10x10 pixels does not fit 2 times 32"),
        (0, dict(tile_width=9), "step 0 of a chain has a tile of 10x9, and the next one reads 10x10"),
        (0, dict(channels=24), "step 0 of a chain does not leave what the next one reads"),
        (0, dict(stages=1), "1 stages do not go with 2 chunks"),
        (0, dict(stages=3), "3 stages do not go with 2 chunks"),
        (0, dict(rounds=2), "only a convolution alone, whose weights are one chunk, computes 2 tiles a CTA"),
        (1, dict(rounds=2), "only a convolution alone, whose weights are one chunk, computes 2 tiles a CTA"),
        (1, dict(steps=1, source=16), "step 1 of a chain is no convolution of what the step before leaves"),
        (1, dict(source=16, steps=0), "step 1 of a chain is no convolution of what the step before leaves"),
        (1, dict(weight=None, written=8, chunk=0), "step 1 of a chain is no convolution of what the step before leav"),
        (1, dict(out=None), "a convolution has no output"),
        (1, dict(first_term=1, terms=1), "only a chain whose first term is its source, at the size of its output, "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusals(step, change, sentence):
    case = make_chain(HALF, 16, [ChainStep(16)] * 2, (7, 5), how=How(stages=2), terms="=", kept=True)
    level = describe([case])
    for name, value in change.items():
        setattr(level.item[step], name, value)
    with pytest.raises(RuntimeError, match=re.escape(sentence)):
        emulate([level], HALF, case.inputs, [case.out.data, random_map((1, 8, 1, 1), HALF).data])

"""The CUDA level kernel against float64, played by the emulator: every compiled body, shape, dtype and epilogue.

The emulator refuses races, reads of what was not written, and accesses that are out of bounds or not aligned.
"""

import re

import pytest
import torch

from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.level import MapTerm
from tests.kernels.bordered_maps import NAMES, empty_map, outside, random_map, term_maps
from tests.kernels.cuda_cases import (
    Case,
    How,
    chain,
    check,
    check_orders,
    check_together,
    describe,
    make_conv,
    make_sum,
    play,
    verify,
)
from tests.kernels.cuda_emulator import CSRC, emulate, shared_bytes

DTYPES = [torch.float16, torch.bfloat16, torch.float32]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float16", "bfloat16", "tf32"])
COLUMNS = (16, 24, 32, 40, 48, 64)
KERNELS = [(3, 1), (3, 2), (1, 1)]
WARPS = [(m, n, 8 // (m * n)) for m in (1, 2, 4, 8) for n in (1, 2, 4, 8) if m * n <= 8]
HALF = torch.float16


def test_every_compiled_body_is_tested():
    header = (CSRC / "cuda/level.h").read_text()
    listed = re.search(r"kWarpColumns\[\] = \{(.*?)\}", header)[1]
    assert tuple(map(int, listed.split(","))) == COLUMNS
    bodies = re.findall(r"case (\d+): multiply_pass<T, (\d+)>", (CSRC / "cuda/device/conv_block.cuh").read_text())
    assert [(int(columns), int(blocks) * 8) for columns, blocks in bodies] == [(c, c) for c in COLUMNS]


@by_dtype
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize(("kernel", "stride"), KERNELS, ids=["3x3", "3x3s2", "1x1"])
def test_every_body(columns, kernel, stride, dtype):
    """Tiles that overhang the map, and channels that neither fill a warp nor make whole steps along K."""
    how = How(columns=columns, chunk=16, stages=2)
    check([make_conv(dtype, 36, columns + 6, kernel, stride, (9, 11), 1, how, "=")], dtype)


@pytest.mark.parametrize("warps", WARPS, ids=lambda w: "x".join(map(str, w)))
@pytest.mark.parametrize("columns", [24, 32])
def test_warps_share_pixels_channels_and_k(warps, columns):
    how = How((4, 8 * warps[0]), warps, columns)
    check([make_conv(HALF, 24, 8 * warps[1] + 30, how=how, size=(6, 9), terms="=")], HALF)


@by_dtype
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize("chunk", [8, 16, 24, 40])
def test_chunks_and_stages(chunk, stages, dtype):
    channels = 80 if stages > 1 else chunk
    if channels <= chunk * (stages - 1):
        channels = chunk * stages - 8
    how = How(chunk=chunk, stages=stages)
    check([make_conv(dtype, channels, 32, how=how), make_conv(dtype, channels, 8, 1, how=how)], dtype)


def test_chunks_of_four_float32_channels():
    check([make_conv(torch.float32, 24, 8, how=How(chunk=4, stages=3))], torch.float32)


@pytest.mark.parametrize("channels", [1, 3, 8, 18, 30, 36, 44, 48, 72, 144])
def test_channels(channels):
    check([make_conv(HALF, channels, channels, size=(5, 6), terms="=")], HALF)


@by_dtype
@pytest.mark.parametrize(("kernel", "stride"), KERNELS, ids=["3x3", "3x3s2", "1x1"])
@pytest.mark.parametrize("rounds", [2, 3, 4, 50])
def test_a_cta_computes_tiles_one_after_another(rounds, kernel, stride, dtype):
    """Tiles of three images and two slices of channels, which seldom fill the last CTA of a slice."""
    terms, how = ("", "=", "=nb", "n")[rounds % 4], How((2, 8), (1, 1, 8), 24)
    case = make_conv(dtype, 20, 42, kernel, stride, (9, 11), 3, how, terms)
    check([case], dtype)
    alone = case.out.data.clone()
    case.out.nchw().fill_(torch.nan)
    case.fields["rounds"] = rounds
    check([case], dtype)
    assert torch.equal(case.out.data, alone)


@by_dtype
@pytest.mark.parametrize("warps", [(4, 2, 1), (4, 1, 2), (8, 1, 1)], ids=str)
@pytest.mark.parametrize("columns", COLUMNS)
def test_warpgroups_give_what_warps_give(columns, warps, dtype):
    """27 granules of K in chunks of two thirds, and tiles that leave warps without pixels."""
    how = How((4, 11), warps, columns, chunk=16, stages=2)
    case = make_conv(dtype, 24, columns + 6, 3, 1, (9, 11), 2, how, "=")
    check([case], dtype)
    alone = case.out.data.clone()
    case.out.nchw().fill_(torch.nan)
    case.fields["grouped"] = 1
    check([case], dtype)
    assert torch.equal(case.out.data, alone)


@pytest.mark.parametrize(("kernel", "stride"), KERNELS, ids=["3x3", "3x3s2", "1x1"])
def test_warpgroups_whose_weights_stay(kernel, stride):
    how = How((4, 16), (4, 2, 1), 24, rounds=3, grouped=True)
    check([make_conv(HALF, 20, 42, kernel, stride, (19, 21), 3, how, "=n")], HALF)


def test_a_head_of_720_channels():
    how = How(columns=24, chunk=240, stages=3)
    check([make_conv(HALF, 720, 19, 1, 1, (3, 4), how=how, relu="none")], HALF)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (2, 2), (17, 13)], ids=str)
def test_small_and_odd_sizes(size, batch):
    for kernel, stride in KERNELS:
        check([make_conv(HALF, 8, 24, kernel, stride, size, batch)], HALF)


@pytest.mark.parametrize("tile", [(8, 6), (4, 16), (1, 64), (64, 1), (3, 5), (7, 9), (1, 1)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_tiles(tile, stride):
    check([make_conv(HALF, 16, 16, 3, stride, (19, 17), 1, How(tile, columns=16), "=n")], HALF)


@by_dtype
@pytest.mark.parametrize("relu", ["none", "first", "last"])
@pytest.mark.parametrize("terms", ["", "=", "n", "b", "c", "=n", "b=", "==nnbbc"])
def test_epilogues(terms, relu, dtype):
    check([make_conv(dtype, 16, 18, how=How(columns=24), terms=terms, relu=relu)], dtype)


@by_dtype
@pytest.mark.parametrize("sources", ["=", "=n", "=bb", "=ncb"])
def test_pointwise_convolution_forms_its_source(sources, dtype):
    for how in (How((4, 8), (1, 1, 8)), How(chunk=8, stages=3)):
        check([make_conv(dtype, 18, 17, 1, 1, (6, 5), 2, how, "=", "none", sources)], dtype)


@by_dtype
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("terms", ["=", "=n", "=bc", "c"])
def test_sums(terms, relu, dtype):
    size = (9, 23)
    check([make_sum(term_maps(terms, 3, 18, size, dtype), empty_map((3, 18, *size), dtype), dtype, 0, relu)], dtype)


@by_dtype
def test_parts_of_a_concatenation_write_their_own_channels(dtype):
    channels, firsts, size = (18, 5, 36), (0, 18, 23), (4, 6)
    out = empty_map((1, 59, *size), dtype)
    parts = [term_maps("b" if i else "=", 1, c, size, dtype) for i, c in enumerate(channels)]
    cases = [make_sum(part, out, dtype, first, False) for part, first in zip(parts, firsts)]
    inputs = [tensor for case in cases for tensor in case.inputs]
    emulate([describe(cases)], dtype, inputs, [out.data])
    want = torch.cat([case.want for case in cases], 1)
    assert (out.nchw().double() - want).norm() <= 2 * max(case.own for case in cases) * want.norm()
    assert outside(out) == 0


def test_a_sum_of_maps_without_border():
    def bare(shape: tuple[int, ...], fill: bool) -> BorderedMap:
        data = torch.randn(shape[0], *shape[2:], 24).to(HALF)
        data[..., shape[1] :] = 0
        data[..., : shape[1]] *= 1 if fill else torch.nan
        return BorderedMap(data.flatten(), shape, 0)

    terms = [MapTerm(bare((2, 18, 7, 5), True)), MapTerm(bare((2, 18, 3, 2), True), NAMES["b"])]
    check([make_sum(terms, bare((2, 18, 7, 5), False), HALF)], HALF)


def level_of_many(dtype: torch.dtype) -> list[Case]:
    """What a level of a network may hold: branches, an exchange's convolutions, and a sum."""
    total = term_maps("=n", 1, 18, (5, 3), dtype)
    return [
        make_conv(dtype, 64, 64, size=(4, 3), how=How((4, 6), (1, 1, 8), chunk=32, stages=2), terms="="),
        make_conv(dtype, 32, 32, size=(16, 12), terms="="),
        make_conv(dtype, 16, 16, size=(16, 12), how=How((4, 8), (1, 1, 8), 16, rounds=4), terms="="),
        make_conv(dtype, 18, 36, 3, 2, (16, 12), how=How(columns=40), relu="first"),
        make_conv(dtype, 36, 18, 1, 1, (8, 6), how=How((8, 8), (2, 1, 4), 24), relu="none"),
        make_sum(total, empty_map((1, 18, 5, 3), dtype), dtype),
    ]


@by_dtype
def test_one_launch_of_many_items_gives_what_each_gives_alone(dtype):
    check_together(level_of_many(dtype), dtype)


@by_dtype
def test_every_schedule_gives_the_same_bits(dtype):
    check_orders([level_of_many(dtype)], dtype, seeds=4)


@pytest.mark.parametrize(("bad", "relu"), [(torch.nan, "none"), (torch.nan, "last"), (torch.inf, "none")])
@by_dtype
def test_nan_and_infinity_spread_as_far_as_in_torch(bad, relu, dtype):
    """27 granules of K: the last step's second half is no granule, and must not carry a NaN of another's."""
    case = make_conv(dtype, 24, 8, size=(6, 6), relu=relu)
    source = BorderedMap(case.parts["source"], (1, 24, 6, 6))
    finite = torch.zeros(1, 24, 6, 6)
    finite[0, 3, 2, 2] = bad
    source.nchw()[0, 3, 2, 2] = bad
    emulate([describe([case])], dtype, case.inputs, [case.out.data])
    ones = torch.nn.functional.conv2d(finite.isfinite().logical_not().float(), torch.ones(8, 24, 3, 3), padding=1)
    assert torch.equal(case.out.nchw().isfinite(), ones == 0)
    assert torch.equal(case.out.nchw().isnan(), (ones > 0) & torch.tensor(bad != bad))


@by_dtype
@pytest.mark.parametrize("how", [How(), How((4, 2), (1, 1, 8), 24, rounds=3)], ids=str)
def test_launches_that_overlap_wait_for_each_other(how, dtype):
    check_orders(chain(dtype, how), dtype, seeds=4)


@by_dtype
@pytest.mark.parametrize("how", [How(warps=(2, 1, 4)), How((8, 8), (8, 1, 1), chunk=8, stages=2)], ids=str)
def test_launches_are_right_in_any_order_of_sums(how, dtype):
    """Each beside what the ones before it left: results of several launches differ by more than rounding between two
    orders, since a map is rounded after each."""
    levels = chain(dtype, how)
    play(levels, dtype)
    for level in levels:
        verify(level)


@by_dtype
@pytest.mark.parametrize(("kernel", "stride"), KERNELS, ids=["3x3", "3x3s2", "1x1"])
@pytest.mark.parametrize("channels", [16, 24, 48])
def test_matrices_are_loaded_without_bank_conflicts(channels, kernel, stride, dtype):
    """From tiles whose width is a multiple of 8."""
    case = make_conv(dtype, channels, channels, kernel, stride, (16, 16), how=How((4, 16), columns=24))
    report = play([[case]], dtype)
    assert report.turns == report.matrices > 0


def test_shared_memory_is_what_the_formula_says():
    how = How((8, 16), (4, 2, 1), 48, chunk=16, stages=2)
    case = make_conv(HALF, 48, 96, 3, 2, (32, 48), how=how, terms="=")
    stage = 17 * 33 * 3 * 16 + 96 * 2 * 9 * 16
    early = 128 * 96 * 2
    assert shared_bytes(describe([case]), HALF) == 32 + 80 + 384 + early + 2 * stage
    small = make_conv(HALF, 8, 32, 1, how=How(warps=(1, 1, 8), tile=(4, 8)))
    assert shared_bytes(describe([small]), HALF) == 32 + 16 + 128 + 8 * 32 * 40 * 4
    stays = make_conv(HALF, 16, 32, how=How((8, 8), (2, 1, 4), 32, rounds=2), terms="=", size=(16, 16))
    weights, tiles, sums = 32 * 18 * 16, 2 * (10 * 10 * 3 * 16 + 64 * 32 * 2), 4 * 64 * 40 * 4
    assert shared_bytes(describe([stays]), HALF) == 32 + 80 + 128 + tiles + weights + sums


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            dict(channels=12),
            "its maps, 1 of 7x5 with 16 and 12 channels, are empty or not padded to a multiple of 8 channels",
        ),
        (dict(batch=1 << 24), "one of its maps has more elements than a 32-bit index reaches"),
        (dict(kernel=5), "kernel 5, stride 1, padding 1 is not at most 3, 2 and 1"),
        (dict(in_height=9), "a convolution of 9x5 does not give 7x5"),
        (dict(warp_columns=56), "no kernel gives a warp 56 output channels"),
        (dict(warps_k=2), "2 x 1 x 2 warps are not 8"),
        (dict(tile_width=9), "a tile of 8x9 pixels does not fit 2 times 32"),
        (dict(chunk=12), "a chunk of 12 channels is no multiple of 8"),
        (dict(chunk=8), "1 stages do not go with 2 chunks"),
        (dict(height=6, in_height=6), "a term of 7x5 does not become 6x5 by mode 0"),
        (dict(terms=3), "its terms are not among the level's 1"),
        (dict(source=None), "a convolution reads one map or forms its source"),
        (dict(grouped=1), "2 warps that share the pixels are no warpgroups"),
        (dict(rounds=0), "a CTA computes 0 tiles"),
        (
            dict(rounds=2, chunk=8, stages=2),
            "only a convolution alone, whose weights are one chunk, computes 2 tiles a CTA",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusals(change, sentence):
    case = make_conv(HALF, 16, 16, terms="=")
    level = describe([case])
    for name, value in change.items():
        setattr(level.item[0], name, value)
    with pytest.raises(RuntimeError, match=re.escape(f"level 0, item 0: {sentence}")):
        emulate([level], HALF, case.inputs, [case.out.data])


def test_an_empty_level_is_refused():
    with pytest.raises(RuntimeError, match="a level has 1 to 12 items"):
        emulate([describe([])], HALF, [], [random_map((1, 8, 1, 1), HALF).data])

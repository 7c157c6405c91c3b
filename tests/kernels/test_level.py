"""The grouped level kernel against float64: every shape class, epilogue, tile and dtype.

On a machine with a GPU it is the compiled kernel that is tested, on any other one Triton's interpreter plays it.
"""

import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.engine.gpu.gpu import describe_gpu
from hrnet_fast.engine.gpu.triton_tiles import Problem, candidates
from hrnet_fast.kernels.bordered import bordered_size, padded_channels
from hrnet_fast.kernels.level import (
    ConvWork,
    Launch,
    MapTerm,
    SumWork,
    Tile,
    level_ref,
    pack_weight,
    rounded_to_tf32,
)
from hrnet_fast.numerics import relative_l2
from tests.kernels.bordered_maps import empty_map, outside, random_map, term_maps, total
from tests.kernels.interpreter import why_not

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NO_INTERPRETER = why_not() if DEVICE == "cpu" else None
pytestmark = pytest.mark.skipif(NO_INTERPRETER is not None, reason=str(NO_INTERPRETER))
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
TILE_SHARES = 6  # of all tiles, whose kernels take minutes to compile: no test may take a GPU report's minute
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def make_conv(
    dtype, inputs, outputs, kernel, stride, size, batch, tile, terms="", relu="last", sources="", bias=True,
    precision="ieee",
):  # fmt: skip
    """A convolution of random maps, its weights packed for `precision`, and its result in float64."""
    out_size = tuple((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in size)
    source = term_maps(sources or "=", batch, inputs, size, dtype, DEVICE)
    weight = torch.randn(outputs, inputs, kernel, kernel, dtype=torch.float64) / (inputs * kernel * kernel) ** 0.5
    weight = weight.to(DEVICE, dtype).double()
    offset = torch.randn(outputs).to(DEVICE) if bias else None
    work = ConvWork(
        empty_map((batch, outputs, *out_size), dtype, DEVICE), source,
        *pack_weight(weight, offset, tile, dtype, precision),
        (kernel, kernel), (stride, stride), (kernel // 2, kernel // 2), tile, bool(sources),
        term_maps(terms, batch, outputs, out_size, dtype, DEVICE), relu,
    )  # fmt: skip
    x = total(source, size, torch.float64).relu().to(dtype).double() if sources else source[0].map.nchw().double()
    want = F.conv2d(x, weight, None if offset is None else offset.double(), stride, kernel // 2)
    want = want.relu() if relu == "first" else want
    want = want + total(work.terms, out_size, torch.float64)
    return work, want.relu() if relu == "last" else want


def check(work, want, dtype, **options):
    """Error at most twice that of torch's operations; border and padding untouched; the same bits again."""
    level_ref([work])
    own = relative_l2(work.out.nchw().double(), want)
    work.out.nchw().fill_(torch.nan)
    launch = Launch([work], **options)
    launch()
    first = work.out.data.clone()
    assert relative_l2(work.out.nchw().double(), want) <= 2 * own
    assert outside(work.out) == 0
    launch()
    assert torch.equal(first, work.out.data)


@pytest.mark.parametrize("tile", [Tile(16, 16), Tile(64, 32, 64), Tile(32, 64, 32, 2), Tile(32, 32, 32, 8)], ids=str)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (1, 2)])
def test_kernels_and_tiles(kernel, stride, tile):
    check(*make_conv(torch.float16, 18, 36, kernel, stride, (7, 5), 2, tile), torch.float16)


@by_dtype
def test_dtypes(dtype):
    check(*make_conv(dtype, 18, 36, 3, 1, (7, 5), 2, Tile(64, 32, 32, 2), "=n"), dtype)


@pytest.mark.parametrize("channels", [1, 3, 8, 18, 30, 32, 36, 44, 48, 72, 144])
def test_channels_and_odd_sizes(channels):
    check(*make_conv(torch.float16, channels, channels, 3, 1, (5, 6), 1, Tile(16, 32), "="), torch.float16)


def test_head_of_720_channels():
    check(*make_conv(torch.float16, 720, 19, 1, 1, (3, 4), 1, Tile(16, 16, 64), relu="none"), torch.float16)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (2, 2), (17, 13)], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_small_and_odd_sizes(size, batch):
    for stride in (1, 2):
        check(*make_conv(torch.float16, 8, 24, 3, stride, size, batch, Tile(32, 32)), torch.float16)


@pytest.mark.parametrize("split", [1, 4])
@pytest.mark.parametrize("relu", ["none", "first", "last"])
@pytest.mark.parametrize("terms", ["=", "n", "b", "c", "=n", "==nnbbc"])
def test_epilogues(terms, relu, split):
    check(*make_conv(torch.float16, 16, 18, 3, 1, (5, 7), 1, Tile(32, 32, 32, split), terms, relu), torch.float16)


@by_dtype
@pytest.mark.parametrize("sources", ["=", "=n", "=bb", "=ncb"])
def test_pointwise_convolution_forms_its_source(sources, dtype):
    check(*make_conv(dtype, 18, 17, 1, 1, (6, 5), 2, Tile(16, 32), relu="none", sources=sources), dtype)


@by_dtype
@pytest.mark.parametrize("terms", ["=", "=n", "=bc", "c"])
@pytest.mark.parametrize("relu", [True, False])
def test_sums(terms, relu, dtype):
    size = (5, 6)
    maps = term_maps(terms, 2, 18, size, dtype, DEVICE)
    work = SumWork(empty_map((2, 18, *size), dtype, DEVICE), maps, Tile(16, 32), 0, relu)
    want = total(maps, size, torch.float64)
    check(work, want.relu() if relu else want, dtype)


def test_parts_of_a_concatenation_write_their_own_channels():
    dtype, channels, firsts, size = torch.float16, (18, 5, 36), (0, 18, 23), (4, 6)
    out = empty_map((1, 59, *size), dtype, DEVICE)
    parts = [term_maps("b" if i else "=", 1, c, size, dtype, DEVICE) for i, c in enumerate(channels)]
    works = [SumWork(out, part, Tile(16, 16), first) for part, first in zip(parts, firsts)]
    want = torch.cat([total(part, size, torch.float64) for part in parts], 1)
    level_ref(works)
    own = relative_l2(out.nchw().double(), want)
    out.nchw().fill_(torch.nan)
    Launch(works)()
    assert relative_l2(out.nchw().double(), want) <= 2 * own
    assert outside(out) == 0


@by_dtype
def test_one_launch_of_many_items_gives_what_each_gives_alone(dtype):
    cases = [
        make_conv(dtype, 32, 32, 3, 1, (8, 6), 1, Tile(16, 32), "="),
        make_conv(dtype, 64, 64, 3, 1, (4, 3), 1, Tile(16, 32, 32, 4), "="),
        make_conv(dtype, 32, 64, 3, 2, (8, 6), 1, Tile(16, 16, 64, 2), relu="first"),
        make_conv(dtype, 18, 17, 1, 1, (5, 5), 1, Tile(16, 32), relu="none", sources="=n"),
    ]
    summand = MapTerm(random_map((1, 18, 3, 3), dtype, DEVICE))
    added = SumWork(empty_map((1, 18, 3, 3), dtype, DEVICE), (summand, summand), Tile(16, 16))
    works = [work for work, _ in cases] + [added]
    alone = []
    for work in works:
        Launch([work])()
        alone.append(work.out.data.clone())
        work.out.nchw().fill_(torch.nan)
    Launch(works)()
    for work, before in zip(works, alone):
        assert torch.equal(work.out.data, before)
    assert sum(work.programs for work in works) == sum(Launch(works).programs)


@pytest.mark.parametrize("sources", ["", "="], ids=["read", "formed"])
def test_tf32_rounds_what_it_reads_to_nearest(sources):
    """Not towards zero, as the tensor core does, which adds up from layer to layer: the same bits as of a map that was
    rounded before."""
    kernel = 1 if sources else 3
    work, _ = make_conv(torch.float32, 18, 36, kernel, 1, (7, 5), 2, Tile(32, 32), "=", sources=sources)
    source = work.sources[0].map
    Launch([work], precision="tf32")()
    given = work.out.data.clone()
    before = source.data.clone()
    source.data.copy_(rounded_to_tf32(before))
    assert not torch.equal(source.data, before)
    Launch([work], precision="tf32")()
    assert torch.equal(given, work.out.data)
    if DEVICE == "cpu":  # where products are not cut
        Launch([work], precision="ieee")()
        assert torch.equal(given, work.out.data)


@pytest.mark.parametrize("precision", ["ieee", "tf32"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_nan_and_infinity_spread_as_far_as_in_torch(bad, precision):
    work, _ = make_conv(torch.float32, 8, 8, 3, 1, (6, 6), 1, Tile(16, 16))
    work.sources[0].map.nchw()[0, 3, 2, 2] = bad
    with torch.backends.cudnn.flags(enabled=False):  # its Winograd's and FFT's convolutions spread them further
        level_ref([work])
    want = work.out.nchw().clone()
    Launch([work], precision=precision)()
    assert torch.equal(work.out.nchw().isnan(), want.isnan())
    assert torch.equal(work.out.nchw().isinf(), want.isinf())


@pytest.mark.skipif(DEVICE == "cpu", reason="there is no GPU: every tile is compiled in test_level_compiled.py")
@pytest.mark.parametrize("share", range(TILE_SHARES))
@pytest.mark.parametrize(
    ("dtype", "precision"), [*((dtype, "ieee") for dtype in DTYPES), (torch.float32, "tf32")], ids=str
)
def test_every_tile_on_a_gpu(dtype, precision, share):
    exact = dtype == torch.float32 and precision == "ieee"
    tiles = candidates(Problem(1 << 16, 512, 4608, dtype.itemsize, exact), describe_gpu(torch.device(DEVICE)))
    for tile in tiles[share::TILE_SHARES]:
        for channels in (48, 64):
            work, want = make_conv(dtype, channels, 130, 3, 1, (19, 17), 3, tile, "=n", precision=precision)
            for stages in (3, 5):
                torch.backends.cudnn.allow_tf32 = precision == "tf32"  # what torch's own error is taken from
                try:
                    check(work, want, dtype, stages=stages, precision=precision)
                finally:
                    torch.backends.cudnn.allow_tf32 = True


def test_layout_of_bordered_maps():
    m = random_map((2, 18, 3, 5), torch.float32, DEVICE)
    assert padded_channels(18) == 24 and bordered_size(m.shape) == 2 * 5 * 7 * 24 == m.data.numel()
    n, c, y, x = 1, 17, 2, 4
    assert m.data[((n * 5 + y + 1) * 7 + x + 1) * 24 + c] == m.nchw()[n, c, y, x]


def test_every_pointer_is_aligned():
    """Triton compiles a kernel anew for pointers that are not multiples of 16 bytes, and copies less at a time."""
    works = [make_conv(torch.float16, 18, 18, 3, 1, (5, 7), 1, Tile(16, 16, 32, split), "=n")[0] for split in (2, 4, 8)]

    def pointers(value):
        if isinstance(value, tuple):
            return [pointer for part in value for pointer in pointers(part)]
        return [value.data_ptr()] if isinstance(value, torch.Tensor) else []

    found = pointers(Launch(works).arguments)
    assert len(found) == 3 * (6 + 2) and all(pointer % 16 == 0 for pointer in found)


def test_refusals():
    with pytest.raises(ValueError, match="at least one item"):
        Launch([])
    work, _ = make_conv(torch.float16, 8, 8, 1, 1, (2, 2), 1, Tile(16, 16), "=" * 8)
    with pytest.raises(ValueError, match="sums 8 maps; at most 7"):
        Launch([work])

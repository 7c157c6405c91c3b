"""heatmap_decode against the official loops (lib/core/inference.py, lib/core/function.py), written out in NumPy."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from hrnet_fast.kernels import flip_average, heatmap_decode, heatmap_decode_ref
from tests.kernels.cases import (
    DTYPES,
    LAYOUTS,
    assert_refused,
    assert_refused_alike,
    by_body,
    by_implementation,
    in_layout,
    needs_test_ops,
)

SWAP = [0, 2, 1, 4, 3]
SIZES = [(64, 48), (17, 13), (4, 4), (3, 9), (1, 1), (2, 50), (5, 17), (9, 16)]
by_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def cuda_blocks(heatmaps, flipped=None, swap=None, shift=True, quarter=True, seed=0):
    """The blocks of the CUDA kernel on the CPU: thread after thread, in an order that `seed` draws."""
    swap = list(range(heatmaps.shape[1])) if swap is None else swap
    return torch.ops.hrnet_fast_testing.heatmap_decode_blocks(heatmaps, flipped, swap, shift, quarter, seed)


every_decoder = by_implementation("decode", heatmap_decode, heatmap_decode_ref, cuda_blocks)


def official_flip_average(maps, flipped, swap, shift):
    flipped = flipped[:, swap, :, ::-1].copy()
    if shift:
        flipped[:, :, :, 1:] = flipped.copy()[:, :, :, 0:-1]
    return (maps + flipped) * 0.5


def official_decode(maps, quarter=True):
    out = np.zeros((*maps.shape[:2], 3), maps.dtype)
    height, width = maps.shape[2:]
    for n in range(maps.shape[0]):
        for k in range(maps.shape[1]):
            hm = maps[n, k]
            index = int(np.argmax(hm))
            x, y, score = index % width, index // width, hm.flat[index]
            if not score > 0:
                x = y = 0
            out[n, k] = x, y, score
            px, py = math.floor(x + 0.5), math.floor(y + 0.5)
            if quarter and 1 < px < width - 1 and 1 < py < height - 1:
                diff = np.array([hm[py, px + 1] - hm[py, px - 1], hm[py + 1, px] - hm[py - 1, px]])
                out[n, k, :2] += np.sign(diff) * 0.25
    return out


def wide(maps):
    """What the sums are kept in: float32, or float64 for float64."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32)).numpy()


@every_decoder
@by_size
@by_dtype
@pytest.mark.parametrize("quarter", [True, False], ids=["quarter", "whole"])
def test_points_are_the_official_ones(decode, size, dtype, quarter):
    maps = torch.randn(3, 5, *size).to(dtype)
    got = decode(maps, quarter=quarter)
    np.testing.assert_array_equal(got.numpy(), official_decode(wide(maps), quarter))
    assert got.dtype == torch.promote_types(dtype, torch.float32)


@every_decoder
@by_size
@by_dtype
@pytest.mark.parametrize("shift", [True, False], ids=["shift", "still"])
@pytest.mark.parametrize("swap", [SWAP, None], ids=["swap", "same"])
def test_the_flip_test_is_the_official_one(decode, size, dtype, shift, swap):
    maps, flipped = torch.randn(3, 5, *size).to(dtype), torch.randn(3, 5, *size).to(dtype)
    order = list(range(5)) if swap is None else swap
    mean = official_flip_average(wide(maps), wide(flipped), order, shift)
    np.testing.assert_array_equal(flip_average(maps, flipped, swap, shift).numpy(), mean)
    np.testing.assert_array_equal(decode(maps, flipped, swap, shift).numpy(), official_decode(mean))


@every_decoder
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("flip", [False, True], ids=["plain", "flip"])
def test_every_layout_is_read_where_it_lies(decode, layout, flip):
    maps, flipped = torch.randn(2, 5, 16, 12), torch.randn(2, 5, 16, 12)
    arguments = (in_layout(maps, layout), in_layout(flipped, layout, 2), SWAP) if flip else (in_layout(maps, layout),)
    want = heatmap_decode_ref(maps, flipped, SWAP) if flip else heatmap_decode_ref(maps)
    assert torch.equal(decode(*arguments), want)


@by_body
@by_size
@by_dtype
@pytest.mark.parametrize("flip", [False, True], ids=["plain", "flip"])
@needs_test_ops
def test_every_instruction_set_finds_them(body, size, dtype, flip):
    maps, flipped = torch.randn(2, 5, *size).to(dtype), torch.randn(2, 5, *size).to(dtype)
    for shift in (False, True):
        arguments = (maps, flipped, SWAP, shift, True) if flip else (maps, None, SWAP, shift, True)
        got = torch.ops.hrnet_fast_testing.heatmap_decode_body(*arguments, body)
        assert torch.equal(got, heatmap_decode_ref(*arguments))


@needs_test_ops
@by_dtype
def test_any_order_of_a_blocks_threads_finds_them(dtype):
    maps = torch.randint(-9, 9, (2, 3, 64, 48)).to(dtype)  # few values, so that the maxima are many
    want = heatmap_decode_ref(maps, maps.flip(0), [0, 2, 1])
    for seed in range(20):
        assert torch.equal(cuda_blocks(maps, maps.flip(0), [0, 2, 1], seed=seed), want)


@needs_test_ops
@pytest.mark.parametrize("channels", [255, 256, 257, 600])
def test_channels_of_several_launches(channels):
    maps, flipped = torch.randn(2, 2, channels, 3, 5)
    swap = torch.randperm(channels).tolist()
    assert torch.equal(cuda_blocks(maps, flipped, swap), heatmap_decode_ref(maps, flipped, swap))


@every_decoder
@pytest.mark.parametrize("value", [torch.inf, -torch.inf], ids=["inf", "-inf"])
def test_infinities_are_values(decode, value):
    maps = torch.rand(1, 1, 20, 20)
    maps[0, 0, 7, 8] = value
    x, y, score = decode(maps, quarter=False)[0, 0].tolist()
    assert score == (value if value > 0 else maps.max())
    assert maps[0, 0, int(y), int(x)] == score


@every_decoder
def test_the_first_of_equal_maxima_is_taken(decode):
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, 3, 5] = maps[0, 0, 3, 6] = maps[0, 0, 6, 0] = 2.0
    assert decode(maps, quarter=False).tolist() == [[[5.0, 3.0, 2.0]]]


@every_decoder
def test_a_map_without_a_positive_value_gives_the_corner(decode):
    maps = torch.full((1, 2, 8, 8), -3.0)
    maps[0, 0, 4, 4] = -1.0
    maps[0, 1] = 0.0
    assert decode(maps).tolist() == [[[0.0, 0.0, -1.0], [0.0, 0.0, 0.0]]]


@every_decoder
@pytest.mark.parametrize("place", [(0, 0), (4, 4), (7, 6)], ids=["first", "middle", "last-column"])
def test_nan_shows_in_the_score(decode, place):
    maps = torch.rand(1, 2, 8, 7)
    maps[0, 1][place] = torch.nan
    found = decode(maps)
    assert found[0, 0].isfinite().all()
    assert found[0, 1, :2].tolist() == [0, 0] and found[0, 1, 2].isnan()


@every_decoder
def test_an_empty_batch_gives_an_empty_batch(decode):
    assert decode(torch.rand(0, 17, 4, 4)).shape == (0, 17, 3)


def test_opcheck():
    maps = torch.rand(2, 3, 5, 6)
    for arguments in ((maps, None, [0, 1, 2], True, True), (maps, maps.flip(0), [0, 2, 1], False, False)):
        torch.library.opcheck(torch.ops.hrnet_fast.heatmap_decode.default, arguments)


X = torch.rand(1, 2, 4, 4)
BAD = {
    "three-dimensions": (
        (X[0],),
        ValueError,
        "heatmap_decode: heatmaps have shape (2, 4, 4); (N, K, height, width) is needed",
    ),
    "no-pixels": (
        (X[..., :0],),
        ValueError,
        "heatmap_decode: heatmaps have shape (1, 2, 4, 0); (N, K, height, width) is needed",
    ),
    "integers": (
        (X.int(),),
        TypeError,
        "heatmap_decode: heatmaps are torch.int32; use one of float32, float64, bfloat16, float16",
    ),
    "gradient": (
        (X.clone().requires_grad_(),),
        RuntimeError,
        "heatmap_decode: heatmaps require a gradient, which this op has not; use torch.no_grad() around it",
    ),
    "flipped-shape": (
        (X, X[..., :2]),
        ValueError,
        "heatmap_decode: heatmaps are (1, 2, 4, 4) torch.float32 on cpu and flipped (1, 2, 4, 2) torch.float32 on cpu; "
        "they must agree",
    ),
    "swap": ((X, X, [0, 0]), ValueError, "heatmap_decode: swap [0, 0] is not an order of the 2 channels"),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    assert_refused(heatmap_decode, arguments, kind, sentence)


DIRECT = {
    "three-dimensions": (X[0], None, [0, 1]),
    "no-pixels": (X[..., :0], None, [0, 1]),
    "integers": (X.int(), None, [0, 1]),
    "flipped-shape": (X, X[..., :2], [0, 1]),
    "flipped-dtype": (X, X.double(), [0, 1]),
    "few-channels": (X, X, [0]),
    "a-channel-too-far": (X, X, [0, 2]),
    "a-channel-before": (X, X, [-1, 0]),
}


@needs_test_ops
@pytest.mark.parametrize("arguments", DIRECT.values(), ids=DIRECT)
def test_a_direct_call_is_refused_alike_on_both_devices(arguments):
    blocks = partial(torch.ops.hrnet_fast_testing.heatmap_decode_blocks, seed=0)
    assert_refused_alike(torch.ops.hrnet_fast.heatmap_decode, blocks, *arguments, True, True)

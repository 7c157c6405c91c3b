"""Labels are held against resizing in double precision: each label's sum must be the largest to within rounding."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.kernels import upsample_argmax, upsample_argmax_ref
from tests.kernels import oracle
from tests.kernels.cases import (
    LAYOUTS,
    assert_refused,
    assert_refused_alike,
    by_body,
    by_implementation,
    in_layout,
    needs_test_ops,
)

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
# classes, size, sizes of the maps: Cityscapes, LIP and PASCAL-Context in small, and ugly ones
CASES = {
    "cityscapes": (19, (64, 128), [(16, 32)]),
    "lip-odd": (20, (61, 61), [(16, 16)]),
    "context-six-scales": (60, (52, 69), [(7, 9), (10, 13), (13, 18), (17, 22), (20, 26), (23, 31)]),
    "one-tile-and-a-column": (3, (5, 65), [(2, 17)]),
    "down": (5, (9, 7), [(40, 300), (9, 7)]),
    "one-class": (1, (4, 5), [(2, 2)]),
    "one-pixel": (2, (1, 1), [(1, 1), (3, 2)]),
    "all-labels": (256, (6, 70), [(2, 20)]),
    "eight": (4, (9, 10), [(3, 3), (9, 10)] * 4),
}
by_case = pytest.mark.parametrize("name", CASES)
by_corners = pytest.mark.parametrize("align_corners", [False, True], ids=["halves", "aligned"])
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def cuda_threads(maps, size, align_corners=False, weights=None):
    """The threads of the CUDA kernel on the CPU, one after another."""
    weights = [1.0] * len(maps) if weights is None else weights
    return torch.ops.hrnet_fast_testing.upsample_argmax_threads(maps, weights, size, align_corners)


by_op = by_implementation("label", upsample_argmax, cuda_threads)


def make_maps(name, dtype=torch.float32, layout="channels_last", batch=2):
    classes, size, sizes = CASES[name]
    maps = [in_layout(torch.randn(batch, classes, *hw).to(dtype), layout, k) for k, hw in enumerate(sizes)]
    return maps, size


def resize(x, size, align_corners):
    rows, cols = (
        oracle.axis_matrix(n, m, "bilinear", align_corners).astype(np.float64) for n, m in zip(x.shape[2:], size)
    )
    return rows @ x.double().numpy() @ cols.T


def sums_of(maps, size, align_corners, weights=None):
    weights = weights or [1.0] * len(maps)
    return sum(w * resize(x, size, align_corners) for w, x in zip(weights, maps))


def shortfall(labels, sums):
    """By how much the labels' sums miss the largest ones, in units of float32's rounding of the largest sum."""
    chosen = np.take_along_axis(sums, labels.numpy().astype(np.int64)[:, None], axis=1)
    return float((sums.max(axis=1, keepdims=True) - chosen).max() / (np.abs(sums).max() * 2.0**-23))


# eight maps, each rounded after two lerps of magnitudes up to that of the sum: a few units in the last place
ROUNDING = 8


@by_op
@by_case
@by_corners
@by_dtype
def test_the_largest_sum_wins(label, name, align_corners, dtype):
    maps, size = make_maps(name, dtype)
    sums = sums_of(maps, size, align_corners)
    got = label(maps, size, align_corners)
    assert got.dtype == torch.uint8 and got.shape == (2, *size)
    assert shortfall(got, sums) <= ROUNDING
    assert shortfall(upsample_argmax_ref(maps, size, align_corners), sums) <= ROUNDING
    assert (got.numpy() == sums.argmax(axis=1)).mean() > 0.999  # so near a tie that rounding decides: almost never


@by_body
@by_case
@by_dtype
@needs_test_ops
def test_every_instruction_set_finds_it(body, name, dtype):
    maps, size = make_maps(name, dtype, "mixed")
    weights = [0.5 + k for k in range(len(maps))]
    got = torch.ops.hrnet_fast_testing.upsample_argmax_body(maps, weights, size, False, body)
    assert shortfall(got, sums_of(maps, size, False, weights)) <= ROUNDING


@by_op
@pytest.mark.parametrize("layout", LAYOUTS)
@by_dtype
def test_every_layout_is_read_where_it_lies(label, layout, dtype):
    maps, size = make_maps("context-six-scales", dtype, layout)
    before = [x.clone() for x in maps]
    dense = label([x.contiguous() for x in maps], size)
    assert torch.equal(label(maps, size), dense)
    assert all(torch.equal(x, y) for x, y in zip(maps, before))


@by_op
@by_corners
def test_labels_are_those_of_interpolate_and_argmax(label, align_corners):
    x = torch.randint(-8, 8, (2, 19, 17, 33)).float()  # multiples of 1/64 after x4: no rounding, and many ties
    x[:, :, ::3] = 2.0
    want = F.interpolate(x, (17 * 4, 33 * 4), mode="bilinear", align_corners=False).argmax(1).to(torch.uint8)
    assert torch.equal(label([x], (68, 132)), want)
    assert torch.equal(upsample_argmax_ref([x], (68, 132)), want)
    same = x.argmax(1).to(torch.uint8)
    assert torch.equal(label([x], (17, 33), align_corners), same)


@by_op
def test_equal_sums_give_the_lowest_class(label):
    x = torch.zeros(1, 19, 4, 4)
    assert label([x, x], (16, 16)).eq(0).all()
    x[:, 7] = x[:, 11] = 1
    assert label([x], (16, 16)).eq(7).all()


@by_op
def test_weights_weigh(label):
    a, b = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    a[:, 0], b[:, 1] = 1, 1
    assert label([a, b], (12, 12), weights=[1, 1.5]).eq(1).all()
    assert label([a, b], (12, 12), weights=[2, 1.5]).eq(0).all()
    assert label([a], (12, 12), weights=[-1]).eq(1).all()


@by_op
def test_the_first_nan_wins_as_in_argmax(label):
    x = torch.randn(1, 5, 4, 4)
    x[0, 3, 1, 1] = x[0, 2, 1, 1] = x[0, 4, 2, 2] = torch.nan
    want = F.interpolate(x, (16, 16), mode="bilinear").argmax(1).to(torch.uint8)
    assert torch.equal(label([x], (16, 16)), want)
    assert torch.equal(upsample_argmax_ref([x], (16, 16)), want)


@needs_test_ops
def test_a_cuda_thread_labels_several_images():
    maps, size = make_maps("lip-odd", batch=5)
    alone = [cuda_threads([x[n : n + 1] for x in maps], size) for n in range(5)]
    assert torch.equal(cuda_threads(maps, size), torch.cat(alone))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_a_label(threads):
    maps, size = make_maps("cityscapes", batch=9)
    expected = upsample_argmax(maps, size)
    torch.set_num_threads(threads)
    assert torch.equal(upsample_argmax(maps, size), expected)


@by_op
def test_an_empty_batch_gives_an_empty_batch(label):
    assert label([torch.randn(0, 4, 2, 2)], (4, 4)).shape == (0, 4, 4)


def test_opcheck():
    maps, size = make_maps("eight", layout="mixed")
    torch.library.opcheck(torch.ops.hrnet_fast.upsample_argmax.default, (maps, [1.0] * 8, size, True))


X = torch.ones(1, 4, 2, 2)
BAD = {
    "none": (([], (2, 2)), ValueError, "upsample_argmax: got 0 maps; give 1 to 8"),
    "size": (([X], (2, 0)), ValueError, "upsample_argmax: size (2, 0) is not (height, width) with both at least 1"),
    "float64": (
        ([X.double()], (2, 2)),
        TypeError,
        "upsample_argmax: map 0 is torch.float64; use one of float32, bfloat16, float16",
    ),
    "classes": (
        ([X, X[:, :3]], (2, 2)),
        ValueError,
        "upsample_argmax: map 0 has 4 classes and map 1 has 3; they must agree",
    ),
    "many": (
        ([torch.ones(1, 257, 1, 1)], (2, 2)),
        ValueError,
        "upsample_argmax: 257 classes; a label has 8 bits, so at most 256",
    ),
    "weights": (([X, X], (2, 2), False, [1.0]), ValueError, "upsample_argmax: 2 maps and 1 weights; give one a map"),
    "gradient": (
        ([X.clone().requires_grad_()], (2, 2)),
        RuntimeError,
        "upsample_argmax: map 0 requires a gradient, which this op has not; use upsample_argmax_ref, or "
        "torch.no_grad()",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    assert_refused(upsample_argmax, arguments, kind, sentence)


@needs_test_ops
@pytest.mark.parametrize("name", ["size", "float64", "classes", "many", "weights"])
def test_a_direct_call_is_refused_alike_on_both_devices(name):
    maps, size, *rest = BAD[name][0]
    weights = rest[1] if rest else [1.0] * len(maps)
    threads = torch.ops.hrnet_fast_testing.upsample_argmax_threads
    assert_refused_alike(torch.ops.hrnet_fast.upsample_argmax, threads, maps, weights, size, False)

import dataclasses

import pytest
import torch

from hrnet_fast.kernels import resize_concat, resize_concat_ref
from tests.kernels import oracle
from tests.kernels.cases import CASES, assert_refused, by_case, by_dtype, by_layout, by_mode, in_layout, make_maps


def of_different_widths(case, dtype, layout="channels_last"):
    widths = [
        dataclasses.replace(case, channels=case.channels + 3 * k, sizes=(size,)) for k, size in enumerate(case.sizes)
    ]
    return [in_layout(make_maps(one, dtype)[0], layout, k) for k, one in enumerate(widths)]


@by_case
@by_mode
@by_dtype
def test_error_is_at_most_twice_torchs(case, mode, align_corners, dtype):
    maps = of_different_widths(case, dtype)
    exact = oracle.resize_concat(maps, case.size, mode, align_corners)
    ours = oracle.error(resize_concat(maps, case.size, mode, align_corners), exact)
    torchs = oracle.error(resize_concat_ref(maps, case.size, mode, align_corners), exact)
    assert ours <= 2 * torchs


@by_layout
@by_mode
def test_every_layout_is_read_where_it_lies(layout, mode, align_corners):
    case = CASES[1]
    maps = of_different_widths(case, torch.bfloat16, layout)
    got = resize_concat(maps, case.size, mode, align_corners)
    exact = oracle.resize_concat(maps, case.size, mode, align_corners)
    torchs = oracle.error(resize_concat_ref(maps, case.size, mode, align_corners), exact)
    assert oracle.error(got, exact) <= 2 * torchs
    assert got.is_contiguous(memory_format=torch.channels_last)


@by_case
@by_dtype
def test_nearest_moves_values_unchanged(case, dtype):
    maps = of_different_widths(case, dtype)
    assert torch.equal(resize_concat(maps, case.size, "nearest"), resize_concat_ref(maps, case.size, "nearest"))


def test_an_empty_batch_gives_an_empty_batch():
    assert resize_concat([torch.randn(0, 4, 2, 2), torch.randn(0, 3, 1, 1)], (4, 4)).shape == (0, 7, 4, 4)


X = torch.ones(1, 4, 2, 2)
BAD = {
    "none": (([], (2, 2)), ValueError, "resize_concat: got 0 maps; give 1 to 8"),
    "batches": (
        ([X, X.repeat(3, 1, 1, 1)], (2, 2)),
        ValueError,
        "resize_concat: map 1 has batch 3 and map 0 has 1; they must agree",
    ),
    "gradient": (
        ([X, X.clone().requires_grad_()], (2, 2)),
        RuntimeError,
        "resize_concat: map 1 requires a gradient, which this op has not; use resize_concat_ref, or torch.no_grad()",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    assert_refused(resize_concat, arguments, kind, sentence)

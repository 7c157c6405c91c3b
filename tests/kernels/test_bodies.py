"""Each compiled body by itself: the rows of every instruction set, and the code of a CUDA thread, run on the CPU."""

import pytest
import torch

from hrnet_fast.kernels import fuse_sum_ref
from tests.kernels import oracle
from tests.kernels.cases import CASES, by_body_or_cuda, by_case, by_dtype, by_layout, by_mode, make_maps, needs_test_ops

pytestmark = needs_test_ops


def run(body, terms, size, mode, align_corners):
    return torch.ops.hrnet_fast_testing.fuse_sum_body(terms, size, mode, align_corners, True, body)


@by_body_or_cuda
@by_case
@by_mode
@by_dtype
def test_error_is_at_most_twice_torchs(body, case, mode, align_corners, dtype):
    terms = make_maps(case, dtype)
    exact = oracle.fuse_sum(terms, case.size, mode, align_corners, True)
    ours = oracle.error(run(body, terms, case.size, mode, align_corners), exact)
    torchs = oracle.error(fuse_sum_ref(terms, case.size, mode, align_corners), exact)
    assert ours <= 2 * torchs


@by_body_or_cuda
@by_layout
@by_dtype
def test_every_layout_is_read_where_it_lies(body, layout, dtype):
    case = CASES[1]
    terms = make_maps(case, dtype, layout)
    exact = oracle.fuse_sum(terms, case.size, "bilinear", False, True)
    torchs = oracle.error(fuse_sum_ref(terms, case.size, "bilinear", False), exact)
    assert oracle.error(run(body, terms, case.size, "bilinear", False), exact) <= 2 * torchs


@by_case
@by_mode
@by_dtype
def test_cuda_moves_sixteen_bytes_or_one_value_to_the_same_result(case, mode, align_corners, dtype):
    terms = make_maps(case, dtype)
    group = 16 // dtype.itemsize
    if case.channels % group:
        with pytest.raises(ValueError, match="cannot be moved 16 bytes at a time"):
            run("cuda_grouped", terms, case.size, mode, align_corners)
        return
    one = run("cuda", terms, case.size, mode, align_corners)
    assert torch.equal(run("cuda_grouped", terms, case.size, mode, align_corners), one)


@pytest.mark.parametrize("layout", ["contiguous", "slice"])
def test_cuda_groups_need_dense_aligned_channels(layout):
    terms = make_maps(CASES[0], torch.float32, layout)
    with pytest.raises(ValueError, match="cannot be moved 16 bytes at a time"):
        run("cuda_grouped", terms, CASES[0].size, "nearest", False)


def test_cuda_groups_need_an_aligned_start():
    wide = torch.randn(1, 36, 3, 2).contiguous(memory_format=torch.channels_last)
    aligned, shifted = wide[:, 4:36], wide[:, 1:33]
    assert run("cuda_grouped", [aligned], (3, 2), "nearest", False).shape == (1, 32, 3, 2)
    with pytest.raises(ValueError, match="cannot be moved 16 bytes at a time"):
        run("cuda_grouped", [shifted], (3, 2), "nearest", False)


@by_body_or_cuda
def test_every_16_bit_value_survives(body):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    for dtype in (torch.bfloat16, torch.float16):
        x = every.view(dtype).view(1, 64, 32, 32).contiguous(memory_format=torch.channels_last)
        got = run(body, [x, torch.zeros_like(x)], (32, 32), "nearest", False)
        assert torch.equal(got.nan_to_num(7.5), torch.relu(x).nan_to_num(7.5))


@by_body_or_cuda
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_sums_of_16_bit_values_round_to_nearest_even(body, dtype):
    x, y = (torch.randn(1, 64, 64, 64).mul(scale).to(dtype) for scale in (1, 1e-3))
    expected = torch.relu(x.float() + y.float()).to(dtype)
    assert torch.equal(run(body, [x, y], (64, 64), "nearest", False), expected)

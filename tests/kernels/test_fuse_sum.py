import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.kernels import extension, fuse_sum, fuse_sum_ref
from tests.kernels import oracle
from tests.kernels.cases import CASES, assert_refused, by_case, by_dtype, by_layout, by_mode, make_maps


@by_case
@by_mode
@by_dtype
def test_error_is_at_most_twice_torchs(case, mode, align_corners, dtype):
    terms = make_maps(case, dtype)
    exact = oracle.fuse_sum(terms, case.size, mode, align_corners, True)
    ours = oracle.error(fuse_sum(terms, case.size, mode, align_corners), exact)
    torchs = oracle.error(fuse_sum_ref(terms, case.size, mode, align_corners), exact)
    assert ours <= 2 * torchs


@by_layout
@by_mode
@by_dtype
def test_every_layout_is_read_where_it_lies(layout, mode, align_corners, dtype):
    case = CASES[1]
    terms = make_maps(case, dtype, layout)
    before = [x.clone() for x in terms]
    got = fuse_sum(terms, case.size, mode, align_corners, relu=False)
    exact = oracle.fuse_sum(terms, case.size, mode, align_corners, False)
    torchs = oracle.error(fuse_sum_ref(terms, case.size, mode, align_corners, relu=False), exact)
    assert oracle.error(got, exact) <= 2 * torchs
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert got.dtype == dtype
    assert all(torch.equal(x, y) for x, y in zip(terms, before))


@by_case
def test_nearest_float32_is_torchs_to_the_bit(case):
    terms = make_maps(case, torch.float32)
    assert torch.equal(fuse_sum(terms, case.size), fuse_sum_ref(terms, case.size))


def test_nearest_indices_are_torchs_for_every_ratio():
    for n in range(1, 41):
        source = torch.arange(n, dtype=torch.float32).view(1, 1, n, 1)
        for m in range(1, 81):
            assert torch.equal(fuse_sum([source], (m, 1)), F.interpolate(source, (m, 1))), (n, m)


@by_mode
@by_dtype
def test_nan_and_infinity_pass_as_in_torch(mode, align_corners, dtype):
    case = CASES[0]
    terms = make_maps(case, dtype)
    terms[0][0, 3, 5, 7] = torch.nan
    terms[1][1, 2, 3, 3] = -torch.inf
    got = fuse_sum(terms, case.size, mode, align_corners)
    expected = fuse_sum_ref(terms, case.size, mode, align_corners)
    assert torch.equal(got.isnan(), expected.isnan())
    assert got.isnan().any()


@by_dtype
def test_a_sum_beyond_the_dtype_rounds_as_a_store_does(dtype):
    largest = torch.full((1, 16, 2, 2), torch.finfo(dtype).max, dtype=dtype)
    assert fuse_sum([largest, largest], (2, 2)).isinf().all()
    tiny = torch.full((1, 16, 2, 2), torch.finfo(dtype).smallest_normal, dtype=dtype) / 4
    assert torch.equal(fuse_sum([tiny, tiny], (2, 2)), tiny * 2)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_a_bit(threads):
    case = CASES[1]
    terms = make_maps(case, torch.float32, batch=40)
    expected = fuse_sum(terms, case.size, "bilinear")
    torch.set_num_threads(threads)
    assert torch.equal(fuse_sum(terms, case.size, "bilinear"), expected)


def test_an_empty_batch_gives_an_empty_batch():
    assert fuse_sum([torch.randn(0, 4, 2, 2)], (4, 4)).shape == (0, 4, 4, 4)


def test_the_result_is_never_an_input():
    x = torch.randn(1, 16, 3, 3).abs().contiguous(memory_format=torch.channels_last)
    assert fuse_sum([x], (3, 3), relu=False).data_ptr() != x.data_ptr()


X = torch.ones(1, 4, 2, 2)
BAD = {
    "not-tensors": (([X, 3], (2, 2)), TypeError, "fuse_sum: terms must be a list of tensors"),
    "none": (([], (2, 2)), ValueError, "fuse_sum: got 0 terms; give 1 to 8"),
    "nine": (([X] * 9, (2, 2)), ValueError, "fuse_sum: got 9 terms; give 1 to 8"),
    "mode": (
        ([X], (2, 2), "bicubic"),
        ValueError,
        "fuse_sum: mode 'bicubic' is not known; use one of nearest, bilinear",
    ),
    "aligned-nearest": (
        ([X], (2, 2), "nearest", True),
        ValueError,
        "fuse_sum: align_corners=True has no meaning with mode='nearest'; leave it out or use 'bilinear'",
    ),
    "size": (([X], (2, 0)), ValueError, "fuse_sum: size (2, 0) is not (height, width) with both at least 1"),
    "rank": (([X, X[0]], (2, 2)), ValueError, "fuse_sum: term 1 has shape (4, 2, 2); (N, C, height, width) is needed"),
    "empty-map": (
        ([X, X[:, :, :0]], (2, 2)),
        ValueError,
        "fuse_sum: term 1 has shape (1, 4, 0, 2); channels, height and width must be at least 1",
    ),
    "dtype": (
        ([X.int()], (2, 2)),
        TypeError,
        "fuse_sum: term 0 is torch.int32; use one of float32, float64, bfloat16, float16",
    ),
    "dtypes": (
        ([X, X.half()], (2, 2)),
        TypeError,
        "fuse_sum: term 1 is torch.float16 and term 0 is torch.float32; cast them to one dtype",
    ),
    "devices": (
        ([X, X.to("meta")], (2, 2)),
        ValueError,
        "fuse_sum: term 1 is on meta and term 0 on cpu; move them to one device",
    ),
    "batches": (
        ([X, X.repeat(2, 1, 1, 1)], (2, 2)),
        ValueError,
        "fuse_sum: term 1 has batch 2 and term 0 has 1; they must agree",
    ),
    "channels": (
        ([X, X[:, :3]], (2, 2)),
        ValueError,
        "fuse_sum: term 0 has 4 channels and term 1 has 3; they must agree",
    ),
    "gradient": (
        ([X.clone().requires_grad_()], (2, 2)),
        RuntimeError,
        "fuse_sum: term 0 requires a gradient, which this op has not; use fuse_sum_ref, or torch.no_grad()",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    assert_refused(fuse_sum, arguments, kind, sentence)


@pytest.mark.skipif(extension().module is None, reason="torch's own ops do the checking")
@pytest.mark.parametrize(
    "name", ["nine", "mode", "size", "rank", "empty-map", "dtype", "dtypes", "batches", "channels"]
)
def test_a_direct_call_is_refused_too(name):
    terms, size, *rest = BAD[name][0]
    mode, align_corners = [*rest, *("nearest", False)[len(rest) :]]
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        torch.ops.hrnet_fast.fuse_sum(terms, size, mode, align_corners, True)

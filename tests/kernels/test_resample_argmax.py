"""Labels are held against the whole chain in double precision: each label's sum must be the largest to rounding."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.kernels import Axis, resample_argmax, resample_argmax_ref
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


def whole(length, target):
    """One window that is all of its view, brought to the labels in one step."""
    return Axis(length, 0, 1, 0, length, length, length, target)


def windows(length, starts, *sizes):
    """The axes of all windows; starts: evenly apart from 0 on, but the last."""
    step = starts[1] if len(starts) > 1 else 1
    return [Axis(length, start, step, starts[-1], *sizes) for start in starts]


def grid(size, tops, lefts):
    """(map, rows, cols) of windows that all see maps of `size`."""
    return [(size, top, left) for top in tops for left in lefts]


# classes, (map, rows, cols) of each map: the official chains in small, and ugly ones
CASES = {
    "lip": (20, [((16, 16), whole(61, 70), whole(61, 53))]),
    "context-two-resizes": (59, [((17, 17), Axis(65, 0, 1, 0, 49, 60, 47, 47), Axis(65, 0, 1, 0, 65, 72, 66, 62))]),
    "several": (
        19,
        [
            ((h, w), Axis(4 * h, 0, 1, 0, 4 * h, 30, 30, 40), Axis(4 * w, 0, 1, 0, 4 * w, 100, 99, 150))
            for h, w in ((8, 16), (12, 24), (5, 9))
        ],
    ),
    "windows": (
        7,
        grid((6, 8), windows(24, (0, 16, 23), 47, 40, 37, 53), windows(32, (0, 21, 42), 70, 75, 75, 61))
        + [((9, 13), whole(40, 53)._replace(valid=37), whole(75, 61))],
    ),
    "many-windows": (3, grid((2, 3), windows(5, range(0, 36, 2), 37, 41, 40, 39), windows(4, (0, 3, 5), 9, 9, 9, 11))),
    "far-columns": (5, [((30, 90), whole(120, 9), whole(360, 140))]),
    "one-pixel": (2, [((1, 1), whole(1, 1), whole(1, 1))]),
    "all-labels": (256, [((2, 20), whole(6, 3), whole(70, 130))]),
    "down-inside": (7, [((50, 40), whole(20, 12), whole(13, 11))]),
}
by_case = pytest.mark.parametrize("name", CASES)
by_exp = pytest.mark.parametrize("exp", [True, False], ids=["exp", "plain"])
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def flat(axes):
    """The axes as the schemas of the ops want them."""
    return [number for axis in axes for number in axis]


def cuda_threads(maps, rows, cols, exp=True, align_corners=False):
    """The threads of the CUDA kernels on the CPU, block after block."""
    return torch.ops.hrnet_fast_testing.resample_argmax_threads(maps, flat(rows), flat(cols), exp, align_corners)


every_run = by_implementation("run", resample_argmax, resample_argmax_ref, cuda_threads)
by_op = by_implementation("run", resample_argmax, cuda_threads)


def make_arguments(name, dtype=torch.float32, layout="channels_last", batch=2):
    classes, parts = CASES[name]
    sizes, rows, cols = zip(*parts)
    maps = [in_layout(torch.randn(batch, classes, *hw).mul(2).to(dtype), layout, k) for k, hw in enumerate(sizes)]
    return maps, rows, cols


def matrix(axis, align_corners):
    """[target, length]: the weight of each of the window's pixels for each label, in extended precision."""
    starts = [*range(0, axis.last, axis.step), axis.last]
    place, inside = np.arange(axis.view), np.arange(axis.length)
    count = sum((place >= start) & (place < start + axis.length) for start in starts)
    window = (place[:, None] == axis.start + inside) / np.maximum(count, 1)[:, None].astype(np.longdouble)
    base = oracle.axis_matrix(axis.view, axis.base, "bilinear", align_corners)[: axis.valid]
    return oracle.axis_matrix(axis.valid, axis.target, "bilinear", align_corners) @ base @ window


def sums_of(maps, rows, cols, exp, align_corners=False):
    total = 0
    for x, down, across in zip(maps, rows, cols):
        left, right = (
            oracle.axis_matrix(n, axis.length, "bilinear", align_corners).astype(np.float64)
            for n, axis in zip(x.shape[2:], (down, across))
        )
        value = left @ x.double().numpy() @ right.T
        down, across = (matrix(axis, align_corners).astype(np.float64) for axis in (down, across))
        total = total + down @ (np.exp(value) if exp else value) @ across.T
    return total


def shortfall(labels, sums, exp):
    """By how much the labels' sums miss the largest ones, in units of float32's rounding of the scale.

    Exponentials are all positive, so that every pixel's own largest sum is the scale; else the picture's.
    """
    chosen = np.take_along_axis(sums, labels.numpy().astype(np.int64)[:, None], axis=1)
    largest = sums.max(axis=1, keepdims=True)
    return float(((largest - chosen) / (largest if exp else np.abs(sums).max())).max() / 2.0**-23)


# logits up to 9 rounded after two lerps give exponentials a relative error of some ten units; their blends few more
ROUNDING = 32


@every_run
@by_case
@by_exp
@by_dtype
@pytest.mark.parametrize("align_corners", [False, True], ids=["halves", "aligned"])
def test_the_largest_sum_wins(run, name, exp, dtype, align_corners):
    maps, rows, cols = make_arguments(name, dtype)
    sums = sums_of(maps, rows, cols, exp, align_corners)
    got = run(maps, rows, cols, exp, align_corners)
    assert got.dtype == torch.uint8 and got.shape == (2, rows[0].target, cols[0].target)
    assert shortfall(got, sums, exp) <= ROUNDING
    assert (got.numpy() == sums.argmax(axis=1)).mean() > 0.999  # so near a tie that rounding decides: almost never


@needs_test_ops
@by_body
@by_case
@by_exp
@by_dtype
def test_every_instruction_set_finds_it(body, name, exp, dtype):
    maps, rows, cols = make_arguments(name, dtype, "mixed")
    got = torch.ops.hrnet_fast_testing.resample_argmax_body(maps, flat(rows), flat(cols), exp, False, body)
    assert shortfall(got, sums_of(maps, rows, cols, exp), exp) <= ROUNDING


@by_op
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_where_it_lies(run, layout):
    maps, rows, cols = make_arguments("several", layout=layout)
    dense = run([x.contiguous() for x in maps], rows, cols)
    assert torch.equal(run(maps, rows, cols), dense)


@every_run
def test_the_exponential_decides_where_logits_would_not(run):
    x = torch.tensor([[[[0.0, 3.0]], [[2.0, 2.0]]]])  # means 1.5 and 2; e^0 + e^3 is more than 2 e^2
    assert run([x], [whole(1, 1)], [whole(2, 1)], True).item() == 0
    assert run([x], [whole(1, 1)], [whole(2, 1)], False).item() == 1


@every_run
@pytest.mark.parametrize("offset", [-90.0, -60.0, 0.0, 60.0, 500.0])
def test_exponentials_neither_overflow_nor_vanish(run, offset):
    x = torch.randn(2, 6, 20, 20) * 4 + offset
    # nothing is blended, so that the order of the logits must come back
    assert torch.equal(run([x], [whole(20, 20)], [whole(20, 20)]), x.argmax(1).to(torch.uint8))


@every_run
def test_each_image_has_a_shift_of_its_own(run):
    x = torch.randn(2, 4, 9, 9)
    x[0] += 300
    assert torch.equal(run([x], [whole(9, 9)], [whole(9, 9)]), x.argmax(1).to(torch.uint8))


@every_run
def test_to_labels_beyond_its_window_a_map_adds_nothing(run):
    x = torch.ones(1, 3, 2, 2)
    x[:, 2] = 2
    upper, lower = windows(2, (0, 2), 4, 4, 4, 4)
    assert run([x], [lower], [whole(2, 2)]).tolist() == [[[0, 0], [0, 0], [2, 2], [2, 2]]]
    assert run([-x, x], [lower, upper], [whole(2, 2)] * 2, False).tolist() == [[[2, 2], [2, 2], [0, 0], [0, 0]]]


@every_run
def test_windows_that_overlap_have_their_mean(run):
    one = torch.tensor([0.0, 3, 0]).view(1, 3, 1, 1).expand(1, 3, 3, 3)
    two = torch.tensor([0.0, 0, 2]).view(1, 3, 1, 1).expand(1, 3, 3, 3)
    three = torch.tensor([2.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 3, 3)
    # the windows lie at 0, 2 and 3 of six places: 2 is of the first two, 3 and 4 of the last two
    rows = windows(3, (0, 2, 3), 6, 6, 6, 6)
    assert run([one, two, three], rows, [whole(3, 1)] * 3, False).flatten().tolist() == [1, 1, 1, 0, 0, 0]
    # 2 has 3 / 2, held against the 1.25 of a map everywhere
    rows, other = [*rows, whole(6, 6)], torch.tensor([0.0, 0, 1.25]).view(1, 3, 1, 1)
    labels = run([one, 0 * two, 0 * three, other], rows, [*[whole(3, 1)] * 3, whole(1, 1)], False)
    assert labels.flatten().tolist() == [1, 1, 1, 2, 2, 2]


@needs_test_ops
def test_a_cuda_thread_labels_several_images():
    maps, *arguments = make_arguments("several", batch=5)
    alone = [cuda_threads([x[n : n + 1] for x in maps], *arguments) for n in range(5)]
    assert torch.equal(cuda_threads(maps, *arguments), torch.cat(alone))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_a_label(threads):
    arguments = make_arguments("lip", batch=9)
    expected = resample_argmax(*arguments)
    torch.set_num_threads(threads)
    assert torch.equal(resample_argmax(*arguments), expected)


@by_op
def test_it_is_interpolate_exp_interpolate_argmax(run):
    x = torch.randn(1, 20, 12, 12) * 2
    inner = F.interpolate(x, (45, 45), mode="bilinear").exp()
    want = F.interpolate(inner, (60, 60), mode="bilinear").argmax(1)
    assert (run([x], [whole(45, 60)], [whole(45, 60)]) == want).float().mean() > 0.999


@by_op
def test_an_empty_batch_gives_an_empty_batch(run):
    assert run([torch.randn(0, 20, 4, 4)], [whole(16, 70)], [whole(16, 53)]).shape == (0, 70, 53)


def test_opcheck():
    maps, rows, cols = make_arguments("several", layout="mixed")
    arguments = (maps, flat(rows), flat(cols), True, False)
    torch.library.opcheck(torch.ops.hrnet_fast.resample_argmax.default, arguments)


X, A = torch.ones(1, 4, 2, 2), Axis(2, 0, 1, 0, 2, 2, 2, 3)
BAD = {
    "none": (([], [], []), ValueError, "resample_argmax: 0 maps, 0 rows and 0 cols; give one of each a map"),
    "float64": (
        ([X.double()], [A], [A]),
        TypeError,
        "resample_argmax: map 0 is torch.float64; use one of float32, bfloat16, float16",
    ),
    "classes": (
        ([X, X[:, :3]], [A] * 2, [A] * 2),
        ValueError,
        "resample_argmax: map 0 has 4 classes and map 1 has 3; they must agree and be at most 256, as a label has 8 "
        "bits",
    ),
    "length": (
        ([X], [A._replace(length=0)], [A]),
        ValueError,
        "resample_argmax: rows 0 have length 0; it must be 1 to 2^30",
    ),
    "start": (
        ([X], [A._replace(start=-1)], [A]),
        ValueError,
        "resample_argmax: rows 0 have start -1; it must be 0 to 2^30",
    ),
    "view": (
        ([X], [A], [A._replace(view=2**31)]),
        ValueError,
        "resample_argmax: cols 0 have view 2147483648; it must be 1 to 2^30",
    ),
    "valid": (
        ([X], [A], [A._replace(valid=4)]),
        ValueError,
        "resample_argmax: cols 0 keep 4 of 2 places; they can keep no more",
    ),
    "step": (
        ([X], [A._replace(start=3, step=2, last=5)], [A]),
        ValueError,
        "resample_argmax: rows 0 start at 3, but windows start 2 apart and the last at 5",
    ),
    "past-the-last": (
        ([X], [A._replace(start=6, step=2, last=5)], [A]),
        ValueError,
        "resample_argmax: rows 0 start at 6, but windows start 2 apart and the last at 5",
    ),
    "targets": (
        ([X, X], [A, A], [A, A._replace(target=5)]),
        ValueError,
        "resample_argmax: cols 1 have 5 labels and cols 0 3; they must agree",
    ),
    "labels": (
        ([X], [A._replace(target=2**16)], [A._replace(target=2**16)]),
        ValueError,
        "resample_argmax: 65536 x 65536 labels are more than 2^30; cut them into parts",
    ),
    "gradient": (
        ([X.clone().requires_grad_()], [A], [A]),
        RuntimeError,
        "resample_argmax: map 0 requires a gradient, which this op has not; use resample_argmax_ref, or "
        "torch.no_grad()",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    assert_refused(resample_argmax, arguments, kind, sentence)


@needs_test_ops
@pytest.mark.parametrize("name", sorted(BAD.keys() - {"none", "gradient"}))
def test_a_direct_call_is_refused_alike_on_both_devices(name):
    maps, rows, cols = BAD[name][0]
    threads = torch.ops.hrnet_fast_testing.resample_argmax_threads
    assert_refused_alike(torch.ops.hrnet_fast.resample_argmax, threads, maps, flat(rows), flat(cols), True, False)

"""Labels are held against the whole chain in double precision: each label's sum must be the largest to rounding."""

from operator import attrgetter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrnet_fast.kernels import Taps, extension, resample_argmax, resample_argmax_ref
from tests.kernels import oracle
from tests.kernels.cases import LAYOUTS, in_layout, needs_test_ops

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
# classes, labels' size, (map, inner, taps a line) of each map: the official chains in small, and ugly ones
CASES = {
    "lip": (20, (70, 53), [((16, 16), (61, 61), 2)]),
    "context-two-resizes": (59, (47, 62), [((17, 17), (65, 65), 4)]),
    "several": (19, (40, 150), [((8, 16), (32, 64), 2), ((12, 24), (48, 96), 3), ((5, 9), (18, 34), 1)]),
    "far-columns": (5, (9, 140), [((30, 90), (120, 360), 4)]),
    "one-pixel": (2, (1, 1), [((1, 1), (1, 1), 1)]),
    "all-labels": (256, (3, 130), [((2, 20), (6, 70), 2)]),
    "down-inside": (7, (12, 11), [((50, 40), (20, 13), 2)]),
}
by_case = pytest.mark.parametrize("name", CASES)
by_exp = pytest.mark.parametrize("exp", [True, False], ids=["exp", "plain"])
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def tables(inner, rows, cols):
    """The arguments as the schemas of the ops want them."""
    parts = [list(part) for taps in (rows, cols) for part in (zip(*taps) if taps else ((), ()))]
    return [side for size in inner for side in size], *parts


def cuda_threads(maps, inner, rows, cols, exp=True, align_corners=False):
    """The threads of the CUDA kernel on the CPU, block after block."""
    return torch.ops.hrnet_fast_testing.resample_argmax_threads(maps, *tables(inner, rows, cols), exp, align_corners)


OP, REF, CUDA = (
    pytest.param(resample_argmax, id="op"),
    pytest.param(resample_argmax_ref, id="ref"),
    pytest.param(cuda_threads, id="cuda-threads", marks=needs_test_ops),
)
by_implementation = pytest.mark.parametrize("run", [OP, REF, CUDA])
by_op = pytest.mark.parametrize("run", [OP, CUDA])


def make_taps(size, inner, taps, rng):
    """Neighbours near where a resize would put them, some twice, some of weight 0, in any order."""
    start = np.linspace(0, inner - 1, size).astype(np.int64)[:, None]
    index = (start + rng.integers(0, 3, (size, taps))).clip(0, inner - 1)
    weight = rng.uniform(0, 1, (size, taps)).astype(np.float32)
    weight[rng.uniform(size=weight.shape) < 0.2] = 0
    weight[:, 0] += 0.1
    return Taps(torch.from_numpy(index), torch.from_numpy(weight))


def make_arguments(name, dtype=torch.float32, layout="channels_last", batch=2):
    rng = np.random.default_rng(0)
    classes, size, parts = CASES[name]
    maps = [
        in_layout(torch.randn(batch, classes, *hw).mul(2).to(dtype), layout, k) for k, (hw, _, _) in enumerate(parts)
    ]
    rows = [make_taps(size[0], inner[0], taps, rng) for _, inner, taps in parts]
    cols = [make_taps(size[1], inner[1], taps, rng) for _, inner, taps in parts]
    return maps, [inner for _, inner, _ in parts], rows, cols


def matrix(taps, inner):
    dense = np.zeros((len(taps.index), inner))
    np.add.at(dense, (np.arange(len(dense))[:, None], taps.index.numpy()), taps.weight.numpy().astype(np.float64))
    return dense


def sums_of(maps, inner, rows, cols, exp, align_corners=False):
    total = 0
    for x, size, down, over in zip(maps, inner, rows, cols):
        left, right = (
            oracle.axis_matrix(n, m, "bilinear", align_corners).astype(np.float64) for n, m in zip(x.shape[2:], size)
        )
        value = left @ x.double().numpy() @ right.T
        total = total + matrix(down, size[0]) @ (np.exp(value) if exp else value) @ matrix(over, size[1]).T
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


@by_implementation
@by_case
@by_exp
@by_dtype
@pytest.mark.parametrize("align_corners", [False, True], ids=["halves", "aligned"])
def test_the_largest_sum_wins(run, name, exp, dtype, align_corners):
    maps, inner, rows, cols = make_arguments(name, dtype)
    sums = sums_of(maps, inner, rows, cols, exp, align_corners)
    got = run(maps, inner, rows, cols, exp, align_corners)
    assert got.dtype == torch.uint8 and got.shape == (2, *CASES[name][1])
    assert shortfall(got, sums, exp) <= ROUNDING
    assert (got.numpy() == sums.argmax(axis=1)).mean() > 0.999  # so near a tie that rounding decides: almost never


@needs_test_ops
@pytest.mark.parametrize("body", ["portable", "avx2", "avx512"])
@by_case
@by_exp
@by_dtype
def test_every_instruction_set_finds_it(body, name, exp, dtype):
    needed = {"avx2": "avx2", "avx512": "avx512f"}.get(body)
    if needed and not extension().module.cpu_features()[needed]:
        pytest.skip(f"this CPU has no {needed}")
    maps, inner, rows, cols = make_arguments(name, dtype, "mixed")
    arguments = maps, *tables(inner, rows, cols), exp, False
    got = torch.ops.hrnet_fast_testing.resample_argmax_body(*arguments, body)
    assert shortfall(got, sums_of(maps, inner, rows, cols, exp), exp) <= ROUNDING


@by_op
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_where_it_lies(run, layout):
    maps, inner, rows, cols = make_arguments("several", layout=layout)
    dense = run([x.contiguous() for x in maps], inner, rows, cols)
    assert torch.equal(run(maps, inner, rows, cols), dense)


def line(*pairs):
    return Taps(torch.tensor([[i for i, _ in pairs]]), torch.tensor([[float(w) for _, w in pairs]]))


@by_implementation
def test_the_exponential_decides_where_logits_would_not(run):
    x = torch.tensor([[[[0.0, 3.0]], [[2.0, 2.0]]]])  # means 1.5 and 2; e^0 + e^3 is more than 2 e^2
    one, both = line((0, 1)), line((0, 0.5), (1, 0.5))
    assert run([x], [(1, 2)], [one], [both], True).item() == 0
    assert run([x], [(1, 2)], [one], [both], False).item() == 1


@by_implementation
@pytest.mark.parametrize("offset", [-90.0, -60.0, 0.0, 60.0, 500.0])
def test_exponentials_neither_overflow_nor_vanish(run, offset):
    x = torch.randn(2, 6, 20, 20) * 4 + offset
    every = Taps(torch.arange(20)[:, None], torch.ones(20, 1))
    # nothing is blended, so that the order of the logits must come back
    assert torch.equal(run([x], [(20, 20)], [every], [every]), x.argmax(1).to(torch.uint8))


@by_implementation
def test_each_image_has_a_shift_of_its_own(run):
    x = torch.randn(2, 4, 9, 9)
    x[0] += 300
    every = Taps(torch.arange(9)[:, None], torch.ones(9, 1))
    assert torch.equal(run([x], [(9, 9)], [every], [every]), x.argmax(1).to(torch.uint8))


@by_implementation
def test_lines_without_weights_add_nothing_whatever_their_index(run):
    x = torch.zeros(1, 3, 2, 2)
    x[:, 2] = 1
    nothing = Taps(torch.full((2, 1), -7), torch.zeros(2, 1))
    every = Taps(torch.arange(2)[:, None], torch.ones(2, 1))
    assert run([x], [(2, 2)], [nothing], [every]).eq(0).all()
    assert run([-x, x], [(2, 2)] * 2, [nothing, every], [every, every]).eq(2).all()


@needs_test_ops
def test_a_cuda_thread_labels_several_images():
    maps, *arguments = make_arguments("several", batch=5)
    alone = [cuda_threads([x[n : n + 1] for x in maps], *arguments) for n in range(5)]
    assert torch.equal(cuda_threads(maps, *arguments), torch.cat(alone))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_a_label(threads):
    arguments = make_arguments("lip", batch=9)
    expected = resample_argmax(*arguments)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(resample_argmax(*arguments), expected)
    finally:
        torch.set_num_threads(before)


@by_op
def test_it_is_interpolate_exp_interpolate_argmax(run):
    x = torch.randn(1, 20, 12, 12) * 2
    at = (torch.arange(60) + 0.5) * (45 / 60) - 0.5
    lo = at.clamp(0, 44).long()
    part = at.clamp(0, 44) - lo
    taps = Taps(torch.stack([lo, (lo + 1).clamp(max=44)], 1), torch.stack([1 - part, part], 1))
    inner = F.interpolate(x, (45, 45), mode="bilinear").exp()
    want = F.interpolate(inner, (60, 60), mode="bilinear").argmax(1)
    assert (run([x], [(45, 45)], [taps], [taps]) == want).float().mean() > 0.999


@by_op
def test_an_empty_batch_gives_an_empty_batch(run):
    _, inner, rows, cols = make_arguments("lip")
    assert run([torch.randn(0, 20, 4, 4)], inner, rows, cols).shape == (0, 70, 53)


def test_opcheck():
    maps, inner, rows, cols = make_arguments("several", layout="mixed")
    arguments = (maps, *tables(inner, rows, cols), True, False)
    torch.library.opcheck(torch.ops.hrnet_fast.resample_argmax.default, arguments)


X, T = torch.ones(1, 4, 2, 2), Taps(torch.zeros(3, 1, dtype=torch.int64), torch.ones(3, 1))
OTHER = Taps(torch.zeros(5, 1, dtype=torch.int64), torch.ones(5, 1))
BAD = {
    "none": (
        ([], [], [], []),
        ValueError,
        "resample_argmax: 0 maps, 0 sizes, 0 rows and 0 cols; give one of each a map",
    ),
    "size": (
        ([X], [(2, 0)], [T], [T]),
        ValueError,
        "resample_argmax: size (2, 0) is not (height, width) with both at least 1",
    ),
    "float64": (
        ([X.double()], [(2, 2)], [T], [T]),
        TypeError,
        "resample_argmax: map 0 is torch.float64; use one of float32, bfloat16, float16",
    ),
    "classes": (
        ([X, X[:, :3]], [(2, 2)] * 2, [T] * 2, [T] * 2),
        ValueError,
        "resample_argmax: map 0 has 4 classes and map 1 has 3; they must agree and be at most 256, as a label has 8 "
        "bits",
    ),
    "taps-shape": (
        ([X], [(2, 2)], [Taps(T.index, torch.ones(3, 2))], [T]),
        ValueError,
        "resample_argmax: rows 0 have indices (3, 1) and weights (3, 2); both must be (size, 1 to 4)",
    ),
    "taps-size": (
        ([X, X], [(2, 2)] * 2, [T, T], [T, OTHER]),
        ValueError,
        "resample_argmax: cols 1 have 5 lines and cols 0 3; they must agree",
    ),
    "taps-dtype": (
        ([X], [(2, 2)], [Taps(T.index.int(), T.weight)], [T]),
        TypeError,
        "resample_argmax: rows 0 are torch.int32 and torch.float32; use int64 indices and float32 weights",
    ),
    "gradient": (
        ([X.clone().requires_grad_()], [(2, 2)], [T], [T]),
        RuntimeError,
        "resample_argmax: map 0 requires a gradient, which this op has not; use resample_argmax_ref, or "
        "torch.no_grad()",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    with pytest.raises(kind) as caught:
        resample_argmax(*arguments)
    assert str(caught.value) == sentence


@needs_test_ops
@by_op
@pytest.mark.parametrize("place", [-1, 2], ids=["before", "past"])
def test_taps_outside_the_map_are_refused(run, place):
    outside = Taps(torch.full((3, 1), place), torch.ones(3, 1))
    with pytest.raises(ValueError, match=f"resample_argmax: a tap reads place {place} of 2"):
        run([X], [(2, 2)], [T], [outside])


@needs_test_ops
@pytest.mark.parametrize("name", ["none", "size", "float64", "classes", "taps-shape", "taps-size", "taps-dtype"])
@pytest.mark.parametrize("op", ["hrnet_fast.resample_argmax", "hrnet_fast_testing.resample_argmax_threads"])
def test_a_direct_call_is_refused_too(op, name):
    maps, inner, rows, cols = BAD[name][0]
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        attrgetter(op)(torch.ops)(maps, *tables(inner, rows, cols), True, False)

"""Shapes, layouts and dtypes that every op of the exchange is tried on: HRNet's own, and ugly ones."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from hrnet_fast.kernels import extension


@dataclass(frozen=True)
class Case:
    """Maps of `sizes` with `channels` each, brought to `size`."""

    name: str
    channels: int
    size: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]


CASES = [
    Case("w32", 32, (16, 12), ((16, 12), (8, 6), (4, 3), (2, 2))),
    Case("w18-odd", 18, (17, 13), ((17, 13), (9, 7), (5, 4), (1, 1))),
    Case("w36-down", 36, (5, 7), ((40, 9), (5, 7), (3, 29))),
    Case("w40-one", 40, (6, 5), ((3, 5),)),
    Case("w44-height-only", 44, (9, 4), ((9, 4), (2, 4))),
    Case("w72-width-only", 72, (3, 11), ((3, 11), (3, 2))),
    Case("three-channels", 3, (7, 7), ((7, 7), (2, 3))),
    Case("one-pixel", 1, (1, 1), ((1, 1), (3, 2), (1, 1))),
    Case("eight", 8, (4, 6), ((4, 6), (2, 3)) * 4),
]
MODES = [("nearest", False), ("bilinear", False), ("bilinear", True)]
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
LAYOUTS = ["channels_last", "contiguous", "slice", "slice_of_contiguous", "mixed"]


def _lacking() -> str | None:
    """Why the ops of csrc/testing cannot be called, or None."""
    if extension().module is None:
        return extension().reason
    if hasattr(torch.ops.hrnet_fast_testing, "fuse_sum_body"):
        return None
    return "the extension has no ops for tests: build it with `python setup.py build_ext --inplace`"


needs_test_ops = pytest.mark.skipif(_lacking() is not None, reason=str(_lacking()))


def _of_body(name: str):
    feature = {"avx2": "avx2", "avx512": "avx512f"}.get(name)
    lacking = bool(feature) and _lacking() is None and not extension().module.cpu_features()[feature]
    return pytest.param(name, marks=pytest.mark.skipif(lacking, reason=f"this CPU has no {feature}"))


by_body = pytest.mark.parametrize("body", [_of_body(name) for name in ("portable", "avx2", "avx512")])
by_body_or_cuda = pytest.mark.parametrize("body", [_of_body(name) for name in ("portable", "avx2", "avx512", "cuda")])


def by_implementation(argument: str, *given: Callable):
    """Of an op, of its reference too where that is given, and of its CUDA kernel's threads on the CPU."""
    op, *ref, cuda = given
    named = [pytest.param(op, id="op"), *(pytest.param(one, id="ref") for one in ref)]
    return pytest.mark.parametrize(argument, [*named, pytest.param(cuda, id="cuda-threads", marks=needs_test_ops)])


def assert_refused(op: Callable, arguments: tuple, kind: type, sentence: str) -> None:
    with pytest.raises(kind) as caught:
        op(*arguments)
    assert str(caught.value) == sentence


def assert_refused_alike(cpu: Callable, cuda: Callable, *arguments) -> None:
    """A direct call of the op, which passes by Python's checks, by one sentence on both devices."""
    with pytest.raises((ValueError, TypeError)) as caught:
        cpu(*arguments)
    assert_refused(cuda, arguments, type(caught.value), str(caught.value))


by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
by_mode = pytest.mark.parametrize(("mode", "align_corners"), MODES, ids=["nearest", "bilinear", "bilinear-aligned"])
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
by_layout = pytest.mark.parametrize("layout", LAYOUTS)


def make_maps(case: Case, dtype: torch.dtype, layout: str = "channels_last", batch: int = 2) -> list[torch.Tensor]:
    """Normal values in the layout asked for; a slice is cut out of a larger tensor along every dimension."""
    return [
        in_layout(torch.randn(batch, case.channels, h, w, dtype=torch.float64).to(dtype), layout, k)
        for k, (h, w) in enumerate(case.sizes)
    ]


def in_layout(x: torch.Tensor, layout: str, k: int = 0) -> torch.Tensor:
    if layout == "mixed":
        layout = LAYOUTS[k % 4]
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "contiguous":
        return x.contiguous()
    n, c, h, w = x.shape
    memory_format = torch.channels_last if layout == "slice" else torch.contiguous_format
    larger = torch.full((n + 1, c + 3, h + 2, w + 1), torch.nan, dtype=x.dtype).contiguous(memory_format=memory_format)
    larger[1:, 1 : c + 1, 1 : h + 1, :w] = x
    return larger[1:, 1 : c + 1, 1 : h + 1, :w]

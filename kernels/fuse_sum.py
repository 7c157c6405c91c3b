"""fuse_sum: the sum that ends every exchange between resolutions, with its up-sampling and its ReLU, in one pass.

    out[n, c, y, x] = relu( sum_k resize(terms[k])[n, c, y, x] )

Deep High-Resolution Representation Learning for Visual Recognition (Wang et al.), section 3.2: the exchange unit.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .library import define
from .resize import check_resize, empty_channels_last, resize_ref


def fuse_sum_ref(
    terms: Sequence[Tensor],
    size: Sequence[int],
    mode: str = "nearest",
    align_corners: bool = False,
    relu: bool = True,
) -> Tensor:
    """fuse_sum in plain torch: it has a gradient, and rounds to the terms' dtype after each step."""
    total = resize_ref(terms[0], size, mode, align_corners)
    for term in terms[1:]:
        total = total + resize_ref(term, size, mode, align_corners)
    return torch.relu(total) if relu else total


def _implementation(terms: list[Tensor], size: list[int], mode: str, align_corners: bool, relu: bool) -> Tensor:
    total = fuse_sum_ref(terms, size, mode, align_corners, relu)
    return total.clone() if any(total is term for term in terms) else total  # an op's output is never its input


def _fake(terms: list[Tensor], size: list[int], mode: str, align_corners: bool, relu: bool) -> Tensor:
    return empty_channels_last(terms[0], terms[0].shape[1], size)


define(
    "fuse_sum(Tensor[] terms, SymInt[2] size, str mode, bool align_corners, bool relu) -> Tensor",
    reference=_implementation,
    fake=_fake,
)


def fuse_sum(
    terms: Sequence[Tensor],  # 1 to 8, each [N, C, h_k, w_k]: any sizes, any strides, one dtype
    size: Sequence[int],  # (H, W)
    mode: str = "nearest",
    align_corners: bool = False,
    relu: bool = True,
) -> Tensor:  # [N, C, H, W] channels_last, the terms' dtype
    """Resizes each term to `size`, adds them from left to right, and applies the ReLU.

    Equivalent to::

        relu(sum(F.interpolate(t, size, mode=mode, align_corners=align_corners) for t in terms))

    terms: float32, float64, bfloat16 or float16; channels_last is the fast layout, others are read where they lie.
    mode: "nearest" or "bilinear" (no antialiasing), with the index rules of `F.interpolate(size=...)`.
    relu: False leaves the sum as it is.

    The sum is kept in float32 (float64 for float64) and rounded once. There is no gradient.
    Raises ValueError, TypeError or RuntimeError (a term that requires a gradient) with one sentence.
    """
    terms = check_resize("fuse_sum", "term", terms, size, mode, align_corners)
    for k, term in enumerate(terms):
        if term.shape[1] != terms[0].shape[1]:
            raise ValueError(
                f"fuse_sum: term 0 has {terms[0].shape[1]} channels and term {k} has {term.shape[1]}; they must agree"
            )
    return torch.ops.hrnet_fast.fuse_sum.default(terms, size, mode, align_corners, relu)

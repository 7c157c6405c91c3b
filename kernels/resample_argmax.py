"""resample_argmax: logits to labels by the official test of segmentation, which resizes exponentials of resized logits.

    labels[n, y, x] = argmax_c sum_k sum_ij rows[k][y, i] cols[k][x, j] exp(resize(maps[k], inner[k])[n, c, i, j])

`rows` and `cols` have at most four entries other than 0 a line: two bilinear resizes one after another, and what is cut
off between them. The chain is inference, multi_scale_inference and testval of lib/datasets/base_dataset.py and
lib/core/function.py in HRNet-Semantic-Segmentation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .library import define
from .resize import check_map
from .upsample_argmax import DTYPES, MAX_CLASSES, argmax_of

MAX_TAPS = 4
LARGEST_EXPONENT = 80.0  # float32 holds e^88


class Taps(NamedTuple):
    """Each value along an axis as a weighted sum: out[i] = sum_t weight[i, t] * source[index[i, t]].

    index: (size, t) int64; weight: (size, t) float32; t from 1 to 4. An index of weight 0 is not read.
    """

    index: Tensor
    weight: Tensor


def resample_argmax_ref(
    maps: Sequence[Tensor],
    inner: Sequence[tuple[int, int]],
    rows: Sequence[Taps],
    cols: Sequence[Taps],
    exp: bool = True,
    align_corners: bool = False,
) -> Tensor:
    """resample_argmax in plain torch: class after class, so that of each inner size few maps are alive at once."""
    largest = torch.stack([x.amax((1, 2, 3)).float() for x in maps]).amax(0)
    shift = (largest - LARGEST_EXPONENT).clamp_(min=0)[:, None, None, None]

    def part(x: Tensor, size: tuple[int, int], down: Taps, across: Taps, c: int) -> Tensor:
        value = F.interpolate(x[:, c : c + 1].float(), tuple(size), mode="bilinear", align_corners=align_corners)
        return _blend(_blend((value - shift).exp_() if exp else value, down, 2), across, 3)

    parts = tuple(zip(maps, inner, rows, cols))
    return argmax_of(sum(part(*one, c) for one in parts) for c in range(maps[0].shape[1]))


def _blend(x: Tensor, taps: Taps, dim: int) -> Tensor:
    index, weight = (one.to(x.device) for one in taps)
    shape = [1, 1, 1, 1]
    shape[dim] = -1
    index = index.where(weight != 0, 0)
    return sum(x.index_select(dim, i) * w.view(shape) for i, w in zip(index.T, weight.T))


def _implementation(maps, inner, rows, row_weights, cols, col_weights, exp, align_corners) -> Tensor:
    sizes = list(zip(inner[::2], inner[1::2]))
    down, across = list(map(Taps, rows, row_weights)), list(map(Taps, cols, col_weights))
    return resample_argmax_ref(maps, sizes, down, across, exp, align_corners)


def _fake(maps, inner, rows, row_weights, cols, col_weights, exp, align_corners) -> Tensor:
    return maps[0].new_empty((maps[0].shape[0], rows[0].shape[0], cols[0].shape[0]), dtype=torch.uint8)


define(
    "resample_argmax(Tensor[] maps, SymInt[] inner, Tensor[] rows, Tensor[] row_weights, Tensor[] cols, "
    "Tensor[] col_weights, bool exp, bool align_corners) -> Tensor",
    reference=_implementation,
    fake=_fake,
)


def resample_argmax(
    maps: Sequence[Tensor],  # one or more, each [N, C, h_k, w_k]: any sizes, any strides, one dtype; C at most 256
    inner: Sequence[tuple[int, int]],  # (height, width), one a map
    rows: Sequence[Taps],  # one a map: H lines, whose indices are rows of `inner`
    cols: Sequence[Taps],  # one a map: W lines, whose indices are columns of `inner`
    exp: bool = True,
    align_corners: bool = False,
) -> Tensor:  # [N, H, W] uint8
    """The class of each pixel: the largest sum of the maps, each resized bilinearly, exponentiated and blended.

    maps: float32, bfloat16 or float16, finite; values are computed in float32. Equal sums give the lowest class; where
        two sums differ by less than their rounding, either class may come.
    rows, cols: on any device, best on the CPU, where they are checked and joined before the maps' device gets them; the
        same H and W for all maps. A line without weights adds nothing.
    exp: exponentiate; False for the resized values themselves. From the values of an image whose largest is above 80
        the excess is taken first, lest they overflow.
    align_corners: of the resize to `inner`.

    Memory beyond the labels: on a CPU of each map seven rows of the inner columns below 128 labels, a thread; on a GPU
        36 bytes a line of taps. No gradient.
    Raises ValueError, TypeError or RuntimeError (a map that requires a gradient; on a GPU a capture for a CUDA graph,
    which taps from the CPU do not allow) with one sentence.
    """
    maps = list(maps)
    if not maps or not len(maps) == len(inner) == len(rows) == len(cols):
        raise ValueError(
            f"resample_argmax: {len(maps)} maps, {len(inner)} sizes, {len(rows)} rows and {len(cols)} cols; give one "
            "of each a map"
        )
    for k, x in enumerate(maps):
        check_map("resample_argmax", "map", k, x, maps[0], torch.is_grad_enabled())
        if x.dtype not in DTYPES:
            raise TypeError(f"resample_argmax: map {k} is {x.dtype}; use one of float32, bfloat16, float16")
        if x.shape[1] != maps[0].shape[1] or x.shape[1] > MAX_CLASSES:
            raise ValueError(
                f"resample_argmax: map 0 has {maps[0].shape[1]} classes and map {k} has {x.shape[1]}; they must agree "
                f"and be at most {MAX_CLASSES}, as a label has 8 bits"
            )
        if len(inner[k]) != 2 or min(inner[k]) < 1:
            raise ValueError(f"resample_argmax: size {tuple(inner[k])} is not (height, width) with both at least 1")
        for name, taps, first in (("rows", rows[k], rows[0]), ("cols", cols[k], cols[0])):
            _check_taps(name, k, taps, first)
    flat = [int(side) for size in inner for side in size]
    (row_index, row_weight), (col_index, col_weight) = zip(*rows), zip(*cols)
    return torch.ops.hrnet_fast.resample_argmax.default(
        maps, flat, list(row_index), list(row_weight), list(col_index), list(col_weight), exp, align_corners
    )


def _check_taps(name: str, k: int, taps: Taps, first: Taps) -> None:
    index, weight = taps
    if index.dim() != 2 or index.shape != weight.shape or not 1 <= index.shape[1] <= MAX_TAPS:
        raise ValueError(
            f"resample_argmax: {name} {k} have indices {tuple(index.shape)} and weights {tuple(weight.shape)}; both "
            "must be (size, 1 to 4)"
        )
    if len(index) != len(first.index):
        raise ValueError(
            f"resample_argmax: {name} {k} have {len(index)} lines and {name} 0 {len(first.index)}; they must agree"
        )
    if index.dtype != torch.int64 or weight.dtype != torch.float32:
        raise TypeError(
            f"resample_argmax: {name} {k} are {index.dtype} and {weight.dtype}; use int64 indices and float32 weights"
        )

"""resample_argmax: logits to labels by the official test of segmentation, which resizes exponentials of resized logits.

    labels[n, y, x] = argmax_c sum_k sum_ij rows_k[y, i] cols_k[x, j] exp(resize(maps[k], inner_k)[n, c, i, j])

`rows_k` and `cols_k`, which an Axis describes, have at most four entries other than 0 a line: a window's place in its
view, two bilinear resizes one after another, and what is cut off between them. The chain is inference,
multi_scale_inference and testval of lib/datasets/base_dataset.py and lib/core/function.py in
HRNet-Semantic-Segmentation.
"""

from collections.abc import Sequence
from functools import lru_cache, reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .library import define
from .resize import check_map
from .upsample_argmax import DTYPES, MAX_CLASSES, argmax_of

MOST = 1 << 30  # places and labels are counted in 32 bits
LARGEST_EXPONENT = 80.0  # float32 holds e^88


class Axis(NamedTuple):
    """One axis, in pixels, from a window of a view to the labels.

    length: of the window, to which the map is resized. It may reach past the view.
    start: of the window, in the view.
    step, last: the view's windows, all of one length, start at 0, step, 2 step, ... below `last`, and at `last`. Where
        several lie, their mean is taken.
    view, base, valid, target: the view has so many pixels; it is resized to `base`, of which the first `valid` are
        resized to `target`, the labels.
    """

    length: int
    start: int
    step: int
    last: int
    view: int
    base: int
    valid: int
    target: int


def resample_argmax_ref(
    maps: Sequence[Tensor],
    rows: Sequence[Axis],
    cols: Sequence[Axis],
    exp: bool = True,
    align_corners: bool = False,
) -> Tensor:
    """resample_argmax in plain torch: class after class, so that of each inner size few maps are alive at once."""
    largest = torch.stack([x.amax((1, 2, 3)).float() for x in maps]).amax(0)
    shift = (largest - LARGEST_EXPONENT).clamp_(min=0)[:, None, None, None]

    def part(x: Tensor, down: Axis, across: Axis, c: int) -> Tensor:
        size = (down.length, across.length)
        value = F.interpolate(x[:, c : c + 1].float(), size, mode="bilinear", align_corners=align_corners)
        value = (value - shift).exp_() if exp else value
        return _blend(_blend(value, *axis_taps(down, align_corners), 2), *axis_taps(across, align_corners), 3)

    parts = tuple(zip(maps, rows, cols))
    return argmax_of(reduce(torch.add, (part(*one, c) for one in parts)) for c in range(maps[0].shape[1]))


@lru_cache(maxsize=512)
def axis_taps(axis: Axis, align_corners: bool) -> tuple[Tensor, Tensor]:
    """Each label's places in the window, [target, 1 to 4] int64, and their weights, float32, on the CPU."""
    place = torch.arange(axis.view, device="cpu")
    starts = (*range(0, axis.last, axis.step), axis.last)
    count = sum(((place >= one) & (place < one + axis.length)).int() for one in starts)
    index = place - axis.start
    inside = (index >= 0) & (index < axis.length)
    taps = index.where(inside, 0)[:, None], (inside.float() / count).where(inside, 0)[:, None]
    index, weight = _resized(*taps, axis.base, align_corners)
    return _resized(index[: axis.valid], weight[: axis.valid], axis.target, align_corners)


def _resized(index: Tensor, weight: Tensor, size: int, align_corners: bool) -> tuple[Tensor, Tensor]:
    """The taps, and then F.interpolate(size=size, mode="bilinear", align_corners=align_corners), as torch places it."""
    have = len(index)
    if have == size:
        return index, weight
    at = _positions(have, size, align_corners)
    lo = at.long()
    hi = (lo + 1).clamp_(max=have - 1)
    part = (at - lo)[:, None]
    return torch.cat([index[lo], index[hi]], 1), torch.cat([weight[lo] * (1 - part), weight[hi] * part], 1)


def _positions(have: int, size: int, align_corners: bool) -> Tensor:
    """Where `size` values lie among `have`, in float32."""
    to = torch.arange(size, dtype=torch.float32, device="cpu")
    if align_corners:
        return to * ((have - 1) / max(size - 1, 1))
    return ((to + 0.5) * (have / size) - 0.5).clamp_(0, have - 1)


def _blend(x: Tensor, index: Tensor, weight: Tensor, dim: int) -> Tensor:
    shape = [1, 1, 1, 1]
    shape[dim] = -1
    taps = zip(index.to(x.device).T, weight.to(x.device).T)
    return reduce(torch.add, (x.index_select(dim, i) * w.view(shape) for i, w in taps))


def _implementation(maps: list[Tensor], rows: list[int], cols: list[int], exp: bool, align_corners: bool) -> Tensor:
    return resample_argmax_ref(maps, _axes(rows), _axes(cols), exp, align_corners)


def _axes(numbers: Sequence[int]) -> list[Axis]:
    each = len(Axis._fields)
    return [Axis(*numbers[first : first + each]) for first in range(0, len(numbers), each)]


def _fake(maps: list[Tensor], rows: list[int], cols: list[int], exp: bool, align_corners: bool) -> Tensor:
    size = (_axes(rows)[0].target, _axes(cols)[0].target)
    return maps[0].new_empty((maps[0].shape[0], *size), dtype=torch.uint8)


define(
    "resample_argmax(Tensor[] maps, SymInt[] rows, SymInt[] cols, bool exp, bool align_corners) -> Tensor",
    reference=_implementation,
    fake=_fake,
)


def resample_argmax(
    maps: Sequence[Tensor],  # one or more, each [N, C, h_k, w_k]: any sizes, any strides, one dtype; C at most 256
    rows: Sequence[Axis],  # one a map, to H labels
    cols: Sequence[Axis],  # one a map, to W labels
    exp: bool = True,
    align_corners: bool = False,
) -> Tensor:  # [N, H, W] uint8
    """The class of each pixel: the largest sum of the maps, each resized bilinearly, exponentiated and blended.

    maps: float32, bfloat16 or float16, finite; values are computed in float32. Equal sums give the lowest class; where
        two sums differ by less than their rounding, either class may come.
    rows, cols: where each map lies; it is resized to (rows[k].length, cols[k].length) first. To labels that do not
        reach its window it adds nothing.
    exp: exponentiate; False for the resized values themselves. From the values of an image whose largest is above 80
        the excess is taken first, lest they overflow.
    align_corners: of all resizes.

    Memory beyond the labels: on a CPU of each map seven rows of the inner columns below 128 labels, a thread; on a GPU
        36 bytes a map and row or column of labels. No gradient.
    Raises ValueError, TypeError or RuntimeError (a map that requires a gradient) with one sentence.
    """
    maps = list(maps)
    if not maps or not len(maps) == len(rows) == len(cols):
        raise ValueError(
            f"resample_argmax: {len(maps)} maps, {len(rows)} rows and {len(cols)} cols; give one of each a map"
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
        _check_axis(f"rows {k}", rows[k], rows[0])
        _check_axis(f"cols {k}", cols[k], cols[0])
    if rows[0].target * cols[0].target > MOST:
        raise ValueError(
            f"resample_argmax: {rows[0].target} x {cols[0].target} labels are more than 2^30; cut them into parts"
        )
    flat = [[int(number) for axis in axes for number in axis] for axes in (rows, cols)]
    return torch.ops.hrnet_fast.resample_argmax.default(maps, *flat, exp, align_corners)


def _check_axis(name: str, axis: Axis, first: Axis) -> None:
    low = Axis(length=1, start=0, step=1, last=0, view=1, base=1, valid=1, target=1)
    for field, least, number in zip(Axis._fields, low, axis):
        if not least <= number <= MOST:
            raise ValueError(f"resample_argmax: {name} have {field} {number}; it must be {least} to 2^30")
    if axis.valid > axis.base:
        raise ValueError(f"resample_argmax: {name} keep {axis.valid} of {axis.base} places; they can keep no more")
    if axis.start > axis.last or (axis.start % axis.step and axis.start != axis.last):
        raise ValueError(
            f"resample_argmax: {name} start at {axis.start}, but windows start {axis.step} apart and the last at "
            f"{axis.last}"
        )
    if axis.target != first.target:
        raise ValueError(
            f"resample_argmax: {name} have {axis.target} labels and {name[:4]} 0 {first.target}; they must agree"
        )

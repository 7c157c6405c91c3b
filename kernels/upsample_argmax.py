"""upsample_argmax: logits at a quarter of the size to labels at the full size, which the logits never reach.

    labels[n, y, x] = argmax_c sum_k weights[k] * resize(maps[k])[n, c, y, x]

Deep High-Resolution Representation Learning for Visual Recognition (Wang et al.), section 4: "the segmentation maps are
upsampled (4 times) to the input size using bilinear upsampling for both training and testing".
"""

from collections.abc import Iterable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from .library import define
from .resize import check_resize

MAX_CLASSES = 256
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def upsample_argmax_ref(
    maps: Sequence[Tensor],
    size: Sequence[int],
    align_corners: bool = False,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """upsample_argmax in plain torch: class after class, so that of the full size three maps are alive at once."""
    weights = [1.0] * len(maps) if weights is None else weights

    def resized(x: Tensor, c: int) -> Tensor:
        return F.interpolate(x[:, c : c + 1].float(), tuple(size), mode="bilinear", align_corners=align_corners)

    return argmax_of(
        reduce(torch.add, (weight * resized(x, c) for x, weight in zip(maps, weights))) for c in range(maps[0].shape[1])
    )


def argmax_of(classes: Iterable[Tensor]) -> Tensor:  # [N, H, W] uint8
    """The argmax over maps [N, 1, H, W] that come class after class: the lowest of equal ones, and the first NaN."""
    rest = iter(classes)
    best = next(rest)
    label = torch.zeros_like(best, dtype=torch.uint8)
    for c, value in enumerate(rest, 1):
        better = ~(value <= best) & ~best.isnan()
        best = torch.where(better, value, best)
        label[better] = c
    return label[:, 0]


def _implementation(maps: list[Tensor], weights: list[float], size: list[int], align_corners: bool) -> Tensor:
    return upsample_argmax_ref(maps, size, align_corners, weights)


def _fake(maps: list[Tensor], weights: list[float], size: list[int], align_corners: bool) -> Tensor:
    return torch.empty((maps[0].shape[0], *size), dtype=torch.uint8, device=maps[0].device)


define(
    "upsample_argmax(Tensor[] maps, float[] weights, SymInt[2] size, bool align_corners) -> Tensor",
    reference=_implementation,
    fake=_fake,
)


def upsample_argmax(
    maps: Sequence[Tensor],  # 1 to 8, each [N, C, h_k, w_k]: any sizes, any strides, one dtype; C at most 256
    size: Sequence[int],  # (H, W)
    align_corners: bool = False,
    weights: Sequence[float] | None = None,  # one a map; None for ones
) -> Tensor:  # [N, H, W] uint8
    """The class of each pixel of `size`: the largest weighted sum of the maps, each resized bilinearly.

    Equivalent to::

        sum(w * F.interpolate(m, size, mode="bilinear", align_corners=align_corners) for m, w in zip(maps, weights))
        .argmax(dim=1).to(torch.uint8)

    maps: float32, bfloat16 or float16; values are interpolated and summed in float32. Equal sums give the lowest class,
        and a NaN counts as the largest, as in torch.argmax; where two sums differ by less than their rounding, either
        class may come.

    Memory beyond the labels: on a CPU two rows of 64 columns a map and thread, 4 * 128 * C bytes; on a GPU none.
    There is no gradient.
    Raises ValueError, TypeError or RuntimeError (a map that requires a gradient) with one sentence.
    """
    maps = check_resize("upsample_argmax", "map", maps, size, "bilinear", align_corners)
    classes = maps[0].shape[1]
    if classes > MAX_CLASSES:
        raise ValueError(f"upsample_argmax: {classes} classes; a label has 8 bits, so at most {MAX_CLASSES}")
    if maps[0].dtype not in DTYPES:
        raise TypeError(f"upsample_argmax: map 0 is {maps[0].dtype}; use one of float32, bfloat16, float16")
    for k, x in enumerate(maps):
        if x.shape[1] != classes:
            raise ValueError(
                f"upsample_argmax: map 0 has {classes} classes and map {k} has {x.shape[1]}; they must agree"
            )
    weights = [1.0] * len(maps) if weights is None else [float(weight) for weight in weights]
    if len(weights) != len(maps):
        raise ValueError(f"upsample_argmax: {len(maps)} maps and {len(weights)} weights; give one a map")
    return torch.ops.hrnet_fast.upsample_argmax.default(maps, weights, size, align_corners)

"""resize_concat: the maps of all resolutions brought to one size and put side by side, as the V2 heads begin.

    out[:, first_k : first_k + C_k] = resize(maps[k]),  first_k = C_0 + ... + C_(k-1)

Deep High-Resolution Representation Learning for Visual Recognition (Wang et al.), section 3.3: HRNetV2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .library import define
from .resize import check_resize, empty_channels_last, resize_ref


def resize_concat_ref(
    maps: Sequence[Tensor], size: Sequence[int], mode: str = "bilinear", align_corners: bool = False
) -> Tensor:
    """resize_concat in plain torch, with a gradient: `torch.cat([F.interpolate(m, size) for m in maps], 1)`."""
    return torch.cat([resize_ref(x, size, mode, align_corners) for x in maps], 1)


def _implementation(maps: list[Tensor], size: list[int], mode: str, align_corners: bool) -> Tensor:
    return resize_concat_ref(maps, size, mode, align_corners).contiguous(memory_format=torch.channels_last)


def _fake(maps: list[Tensor], size: list[int], mode: str, align_corners: bool) -> Tensor:
    return empty_channels_last(maps[0], sum(x.shape[1] for x in maps), size)


define(
    "resize_concat(Tensor[] maps, SymInt[2] size, str mode, bool align_corners) -> Tensor",
    reference=_implementation,
    fake=_fake,
)


def resize_concat(
    maps: Sequence[Tensor],  # 1 to 8, each [N, C_k, h_k, w_k]: any sizes, any strides, one dtype
    size: Sequence[int],  # (H, W)
    mode: str = "bilinear",
    align_corners: bool = False,
) -> Tensor:  # [N, sum C_k, H, W] channels_last, the maps' dtype
    """Resizes each map to `size` and concatenates their channels.

    Equivalent to::

        torch.cat([F.interpolate(m, size, mode=mode, align_corners=align_corners) for m in maps], 1)

    maps: float32, float64, bfloat16 or float16; channels_last is the fast layout, others are read where they lie.
    mode: "nearest" or "bilinear" (no antialiasing), with the index rules of `F.interpolate(size=...)`.

    There is no gradient.
    Raises ValueError, TypeError or RuntimeError (a map that requires a gradient) with one sentence.
    """
    maps = check_resize("resize_concat", "map", maps, size, mode, align_corners)
    return torch.ops.hrnet_fast.resize_concat.default(maps, size, mode, align_corners)

"""heatmap_decode: from heatmaps to points and scores, with the average over a mirrored picture, in one pass.

    mean[n, k, y, x] = (heatmaps[n, k, y, x] + flipped[n, swap[k], y, w - 1 - x + s]) / 2,   s = 1 if shift and x > 0
    point[n, k]      = argmax of mean[n, k] in reading order, moved 1/4 pixel towards its higher neighbour on each axis
    score[n, k]      = max of mean[n, k]

These are get_max_preds and get_final_preds of lib/core/inference.py and the flip test of lib/core/function.py in the
official pose repository (leoxiaobin/deep-high-resolution-net.pytorch).
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from .library import define
from .resize import DTYPES


def flip_average(
    heatmaps: Tensor,  # [N, K, h, w]
    flipped: Tensor,  # [N, K, h, w], of the mirrored pictures
    swap: Sequence[int] | None = None,  # K
    shift: bool = True,
) -> Tensor:  # [N, K, h, w] float32 (float64 for float64)
    """The mean of heatmaps and of those of the mirrored pictures, turned back; in plain torch, on their device."""
    dtype = torch.promote_types(heatmaps.dtype, torch.float32)
    back = flipped.to(dtype).flip(3)
    if swap is not None:
        back = back.index_select(1, _order(tuple(swap), back.device))
    if shift:
        back = torch.cat((back[..., :1], back[..., :-1]), 3)
    return (heatmaps.to(dtype) + back) * 0.5


@lru_cache(maxsize=64)  # kept on its device, as an upload for each call would wait for the GPU
@torch.inference_mode(False)
def _order(swap: tuple[int, ...], device: torch.device) -> Tensor:  # [K] int64
    return torch.tensor(swap, dtype=torch.int64, device="cpu").to(device)


def heatmap_decode_ref(
    heatmaps: Tensor,  # [N, K, h, w]
    flipped: Tensor | None = None,  # [N, K, h, w]
    swap: Sequence[int] | None = None,  # K
    shift: bool = True,
    quarter: bool = True,
) -> Tensor:  # [N, K, 3] float32 (float64 for float64)
    """heatmap_decode in plain torch."""
    if flipped is None:
        maps = heatmaps.to(torch.promote_types(heatmaps.dtype, torch.float32))
    else:
        maps = flip_average(heatmaps, flipped, swap, shift)
    h, w = maps.shape[2:]
    rows = maps.flatten(2)
    score, index = rows.max(2)
    x, y = index % w, index // w
    found = score > 0
    x, y = x * found, y * found
    points = torch.stack((x, y), 2).to(maps.dtype)
    if quarter:
        inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
        at = (y * w + x) * inside
        steps = (
            rows.gather(2, (at + step).clamp(max=h * w - 1)[..., None])
            - rows.gather(2, (at - step).clamp(min=0)[..., None])
            for step in (1, w)
        )
        points = points + torch.cat(tuple(steps), 2).sign() * 0.25 * inside[..., None]
    return torch.cat((points, score[..., None]), 2)


def _fake(heatmaps: Tensor, flipped: Tensor | None, swap: list[int], shift: bool, quarter: bool) -> Tensor:
    return heatmaps.new_empty((*heatmaps.shape[:2], 3), dtype=torch.promote_types(heatmaps.dtype, torch.float32))


define(
    "heatmap_decode(Tensor heatmaps, Tensor? flipped, SymInt[] swap, bool shift, bool quarter) -> Tensor",
    reference=heatmap_decode_ref,
    fake=_fake,
)


def heatmap_decode(
    heatmaps: Tensor,  # [N, K, h, w], any strides
    flipped: Tensor | None = None,  # [N, K, h, w], any strides
    swap: Sequence[int] | None = None,  # K
    shift: bool = True,
    quarter: bool = True,
) -> Tensor:  # [N, K, 3] x, y, score; float32 (float64 for float64)
    """The highest point of each heatmap, in heatmap pixels, and its value.

    heatmaps: float32, float64, bfloat16 or float16, h * w at least 1.
    flipped: heatmaps of the mirrored pictures, as the network gave them; None for no flip test.
    swap: channel k of a picture is channel swap[k] of its mirror image; None if no channel changes.
    shift: moves the flipped heatmaps one pixel to the right first (TEST.SHIFT_HEATMAP); their first column stays.
    quarter: moves each point a quarter of a pixel (TEST.POST_PROCESS), except in the first two and the last of the
        columns and rows.

    A heatmap without a value above 0 gives the point (0, 0), with its highest value as its score; one that holds NaN
    gives (0, 0) and NaN. There is no gradient.
    Raises ValueError, TypeError or RuntimeError (heatmaps that require a gradient) with one sentence.
    """
    for name, maps in (("heatmaps", heatmaps), ("flipped", flipped)):
        if maps is None:
            continue
        if maps.dim() != 4 or 0 in maps.shape[1:]:
            raise ValueError(f"heatmap_decode: {name} have shape {tuple(maps.shape)}; (N, K, height, width) is needed")
        if maps.dtype not in DTYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
            raise TypeError(f"heatmap_decode: {name} are {maps.dtype}; use one of {known}")
        if torch.is_grad_enabled() and maps.requires_grad:
            raise RuntimeError(
                f"heatmap_decode: {name} require a gradient, which this op has not; use torch.no_grad() around it"
            )
    if flipped is not None and (flipped.shape, flipped.dtype, flipped.device) != (
        heatmaps.shape,
        heatmaps.dtype,
        heatmaps.device,
    ):
        raise ValueError(
            f"heatmap_decode: heatmaps are {tuple(heatmaps.shape)} {heatmaps.dtype} on {heatmaps.device} and flipped "
            f"{tuple(flipped.shape)} {flipped.dtype} on {flipped.device}; they must agree"
        )
    channels = heatmaps.shape[1]
    swap = list(range(channels)) if swap is None else list(swap)
    if sorted(swap) != list(range(channels)):
        raise ValueError(f"heatmap_decode: swap {swap} is not an order of the {channels} channels")
    return torch.ops.hrnet_fast.heatmap_decode.default(heatmaps, flipped, swap, shift, quarter)

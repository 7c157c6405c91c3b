"""From heatmaps to keypoints, in heatmap pixels, where the heatmaps are."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...kernels import flip_average, heatmap_decode
from .dark import refine

METHODS = ("quarter", "dark", "udp")


def decode(
    heatmaps: Tensor,  # (N, K, h, w)
    flipped: Tensor | None = None,  # (N, K, h, w)
    swap: Sequence[int] | None = None,  # K
    *,
    shift: bool = True,
    method: str = "quarter",
    kernel: int = 11,
) -> Tensor:  # (N, K, 3) x, y, score; float32 (float64 for float64)
    """The keypoints of N people.

    flipped, swap, shift: the flip test, as `kernels.heatmap_decode` takes it.
    method: "quarter" (the official quarter offset), "dark" or "udp" (see `dark.refine`, which takes `kernel`).
    """
    if method not in METHODS:
        raise ValueError(f"decode {method!r} is not known; choose one of {', '.join(METHODS)}")
    if method == "quarter":
        return heatmap_decode(heatmaps, flipped, swap, shift)
    maps = heatmaps if flipped is None else flip_average(heatmaps, flipped, swap, shift)
    return refine(maps, heatmap_decode(maps, quarter=False), kernel, udp=method == "udp")

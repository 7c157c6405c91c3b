"""Random bordered maps, the sums of terms of them by torch, and what lies where a kernel must not write."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.level import MapTerm

NAMES = {"=": "same", "n": "nearest", "b": "bilinear", "c": "bilinear_corners"}


def random_map(shape: Sequence[int], dtype: torch.dtype, device: str = "cpu") -> BorderedMap:
    made = BorderedMap.zeros(shape, dtype, device)
    made.nchw().copy_(torch.randn(tuple(shape)))
    return made


def empty_map(shape: Sequence[int], dtype: torch.dtype, device: str = "cpu") -> BorderedMap:
    """Zeros in the border and the padding, as they stay; NaN where the kernel must write."""
    made = BorderedMap.zeros(shape, dtype, device)
    made.nchw().fill_(torch.nan)
    return made


def term_maps(
    codes: str, batch: int, channels: int, size: Sequence[int], dtype: torch.dtype, device: str = "cpu"
) -> tuple[MapTerm, ...]:
    """A random map for each code of NAMES; those that are resized are smaller."""
    smaller = (max(1, size[0] // 2), max(1, size[1] // 3))
    shapes = ((batch, channels, *(size if code == "=" else smaller)) for code in codes)
    return tuple(MapTerm(random_map(shape, dtype, device), NAMES[code]) for shape, code in zip(shapes, codes))


def total(terms: Sequence[MapTerm], size: Sequence[int], dtype: torch.dtype) -> Tensor | float:
    """The terms' sum in `dtype`, rounded after each step."""
    result = 0.0
    for term in terms:
        x, (mode, _, corners) = term.map.nchw().to(dtype), term.mode.partition("_")
        if mode == "bilinear":
            x = F.interpolate(x, tuple(size), mode="bilinear", align_corners=bool(corners))
        result = result + (F.interpolate(x, tuple(size), mode="nearest") if mode == "nearest" else x)
    return result


def outside(m: BorderedMap) -> float:
    """What lies in the border and in the padded channels, absolutely summed."""
    return float(m.data.double().abs().sum() - m.nchw().double().abs().sum())

"""What the arguments of a call say."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from operator import index
from typing import Any

import torch
from torch import Tensor
from torch.overrides import resolve_name

from ..errors import PlanError


def check_channels(name: str, x: Tensor, channels: int) -> None:
    if x.dim() != 4 or x.shape[1] != channels:
        raise PlanError(f"{name} expects maps of shape (N, {channels}, H, W), but gets {tuple(x.shape)}")


def check_length(name: str, vector: Tensor | None, channels: int) -> None:
    if vector is not None and tuple(vector.shape) != (channels,):
        raise PlanError(f"{name} has the shape {tuple(vector.shape)}, but must be of {channels} channels")


def name_of(function: Callable[..., Any]) -> str:
    return resolve_name(function) or getattr(function, "__name__", repr(function))


def whole_size(x: Tensor, size: Any, factor: Any) -> tuple[int, int] | None:
    """The size of an interpolated map, unless the factors give none or one that is not whole, or both are given."""
    if x.dim() != 4 or (size is None) == (factor is None):
        return None
    if isinstance(both := factor if size is None else size, (tuple, list)) and len(both) != 2:
        return None
    first, second = pair(both)
    if size is not None:
        return index(first), index(second)
    height, width = x.shape[2] * first, x.shape[3] * second
    return (int(height), int(width)) if (int(height), int(width)) == (height, width) else None


def pair(value: Any) -> tuple[Any, Any]:
    """What torch takes for the two axes of a map: two numbers, or one for both, alone or in a list."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(numbers) not in (1, 2):
        raise PlanError(f"{numbers} is given for the two axes of a map: one number or two are needed")
    return numbers[0], numbers[-1]


def is_basic(index: Any) -> bool:
    """Whether an index takes a part by numbers and slices alone."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or type(part) is int or isinstance(part, slice) for part in parts)


def filled_mask(target: Tensor, index: Any, value: Any) -> Tensor | None:
    """The mask where `target[index] = value` writes a number into all that is selected by a mask of the target's first
    dimensions, else None."""
    mask, *rest = index if isinstance(index, tuple) else (index,)
    is_mask = isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.shape == target.shape[: mask.dim()]
    rest_whole = all(part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in rest)
    return mask if is_mask and rest_whole and isinstance(value, Number) else None


def overlaps(x: Tensor) -> bool:
    """Whether elements of a tensor may share memory, as `expand` leaves them."""
    reach = 0
    for stride, side in sorted(zip(x.stride(), x.shape)):
        if side > 1 and stride <= reach:
            return True
        reach += stride * max(0, side - 1)
    return False

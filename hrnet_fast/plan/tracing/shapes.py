"""Shapes of the results of torch functions in plans, without a call of torch's.

A call on tensors without data answers for any function, but the first one of a process imports torch's symbolic
shapes: 0.3 to 1.0 seconds, several times what planning takes. So what heads of HRNets call is answered here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import floor
from operator import mul
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

Shape = tuple[int, ...]


def result_without_call(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | None:
    """A tensor without data, like what a function, e.g. "functional.linear", makes of floating tensors of one dtype.

    None where torch has to be asked: for functions and arguments that are not known here, wrong ones among them.
    """
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    function = name.rpartition(".")[2]
    shape_of = _RULES.get(function)
    if shape_of is None or any(t.dtype != tensors[0].dtype or not t.is_floating_point() for t in tensors):
        return None
    try:
        shape = shape_of(*args, **kwargs)
    except (TypeError, ValueError, IndexError):
        return None  # torch says better what is wrong
    return None if shape is None else tensors[0].new_empty(shape, dtype=_DTYPES.get(function), device="meta")


def _mean(x: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Shape | None:
    given = range(x.dim()) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = {range(x.dim())[axis] for axis in given}
    shape = tuple(1 if axis in axes else side for axis, side in enumerate(x.shape) if keepdim or axis not in axes)
    return shape if len(axes) == len(given) > 0 else None


def _place(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Shape | None:
    return _mean(x, dim, keepdim) if dim is None or isinstance(dim, int) else None


def _softmax(x: Tensor, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Shape | None:
    own = dtype is None and type(_stacklevel) is int  # other than those of F have the dtype second
    return tuple(x.shape) if -x.dim() <= dim < x.dim() and own else None


def _elementwise(a: Tensor | float, b: Tensor | float) -> Shape | None:
    known = all(isinstance(x, (Tensor, int, float)) for x in (a, b))
    return broadcast(*(x.shape for x in (a, b) if isinstance(x, Tensor))) if known else None


def _sum(a: Tensor | float, b: Tensor | float, *, alpha: float = 1) -> Shape | None:
    return _elementwise(a, b)


def _same(x: Tensor, *args: Any, **kwargs: Any) -> Shape | None:
    alone = not any(isinstance(other, Tensor) for other in (*args, *kwargs.values()))
    return tuple(x.shape) if alone else None


def _layer_norm(x: Tensor, normalized_shape: Sequence[int], *args: Any, **kwargs: Any) -> Shape | None:
    return tuple(x.shape) if tuple(x.shape[-len(normalized_shape) :]) == tuple(normalized_shape) else None


def _group_norm(x: Tensor, num_groups: int, *args: Any, **kwargs: Any) -> Shape | None:
    return tuple(x.shape) if x.shape[1] % num_groups == 0 else None


def _prelu(x: Tensor, weight: Tensor) -> Shape | None:
    return tuple(x.shape) if weight.numel() in (1, x.shape[1]) else None


def _narrow(x: Tensor, dim: int, start: int, length: int) -> Shape | None:
    axis = range(x.dim())[dim]
    return (*x.shape[:axis], length, *x.shape[axis + 1 :]) if 0 <= start <= x.shape[axis] - length else None


def _interpolate(
    x: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", **how: Any
) -> Shape | None:
    if x.dim() != 4 or (size is None) == (scale_factor is None):
        return None
    sides = _pair(size) if scale_factor is None else map(mul, x.shape[2:], _pair(scale_factor))
    return (*x.shape[:2], *map(floor, sides))


def _matmul(a: Tensor, b: Tensor) -> Shape | None:
    if min(a.dim(), b.dim()) < 2 or a.shape[-1] != b.shape[-2]:
        return None
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    return None if batch is None else (*batch, a.shape[-2], b.shape[-1])


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Shape | None:
    fits = x.shape[-1:] == weight.shape[1:] and (bias is None or bias.shape == weight.shape[:1])
    return (*x.shape[:-1], weight.shape[0]) if fits else None


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Shape | None:
    axis = range(tensors[0].dim())[dim]
    before, after = tensors[0].shape[:axis], tensors[0].shape[axis + 1 :]
    alike = all((t.shape[:axis], t.shape[axis + 1 :]) == (before, after) for t in tensors)
    return (*before, sum(t.shape[axis] for t in tensors), *after) if alike else None


def _avg_pool(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    return None if ceil_mode else _pool(x, kernel_size, stride, padding)


def _max_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    return None if ceil_mode or return_indices or _pair(dilation) != (1, 1) else _pool(x, kernel_size, stride, padding)


def _pool(x: Tensor, kernel: Any, stride: Any, padding: Any) -> Shape | None:
    axes = list(zip(x.shape[2:], _pair(kernel), _pair(kernel if stride in (None, ()) else stride), _pair(padding)))
    sides = [(side + 2 * p - k) // s + 1 for side, k, s, p in axes]
    possible = x.dim() == 4 and min(sides) > 0 and all(0 <= 2 * p <= k for _, k, _, p in axes)
    return (*x.shape[:2], *sides) if possible else None


def _adaptive_pool(x: Tensor, output_size: Any, return_indices: bool = False) -> Shape | None:
    if return_indices:
        return None
    sides = _pair(output_size)
    return (*x.shape[:2], *sides) if x.dim() == 4 and all(isinstance(s, int) and s > 0 for s in sides) else None


def _pixel_shuffle(x: Tensor, upscale_factor: int) -> Shape | None:
    s = upscale_factor
    if x.dim() != 4 or s < 1 or x.shape[1] % s**2:
        return None
    return (x.shape[0], x.shape[1] // s**2, x.shape[2] * s, x.shape[3] * s)


def broadcast(*shapes: Sequence[int]) -> Shape | None:
    sides = [set(across) - {1} for across in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)]
    return tuple(max(side, default=1) for side in reversed(sides)) if all(len(side) < 2 for side in sides) else None


def _pair(value: Any) -> tuple[Any, Any]:
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return first, second


_RULES: dict[str, Callable[..., Shape | None]] = {
    "mean": _mean, "sum": _mean, "softmax": _softmax, "matmul": _matmul, "linear": _linear, "cat": _cat,
    "mul": _elementwise, "sub": _sum, "div": _elementwise, "__rmul__": _elementwise,
    "add": _sum, "__rsub__": _elementwise, "maximum": _elementwise, "minimum": _elementwise,
    "pow": _elementwise, "amax": _mean, "amin": _mean, "narrow": _narrow, "interpolate": _interpolate,
    "avg_pool2d": _avg_pool, "max_pool2d": _max_pool, "adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool, "layer_norm": _layer_norm, "group_norm": _group_norm, "prelu": _prelu,
    "log_softmax": _softmax, "pixel_shuffle": _pixel_shuffle, "argmax": _place, "argmin": _place,
}  # fmt: skip
_COMPARISONS = ("gt", "lt", "ge", "le", "eq", "ne")
_RULES |= dict.fromkeys(_COMPARISONS, _elementwise)
_DTYPES = dict.fromkeys(_COMPARISONS, torch.bool) | dict.fromkeys(("argmax", "argmin"), torch.int64)
_UNARY = """neg abs exp log sqrt rsqrt square reciprocal tanh clamp clamp_min clamp_max sigmoid __rtruediv__ normalize
    gelu softplus silu leaky_relu hardswish hardsigmoid hardtanh relu6 elu selu celu mish
    flip roll"""
_RULES |= dict.fromkeys(_UNARY.split(), _same)

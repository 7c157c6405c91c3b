"""Batch norm folded into its convolution's weights, exactly once and in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from .ir import Conv
from .transposed import ordinary_weight


def fold(item: Conv, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor | None]:
    """A planned convolution's weight [Cout, Cin / groups, kh, kw] and bias [Cout] or None, in float64 and cast once.

    tensors: the module's parameters and buffers by key. With gamma, beta, mean, var of the norm:
    weight * gamma / sqrt(var + eps), and (bias - mean) * gamma / sqrt(var + eps) + beta. Of a transposed convolution,
    those of the ordinary one that computes it.
    Raises ValueError, naming the key, where a tensor holds NaN or Inf, or what is folded would.
    """
    weight, bias = _fold(item, tensors)
    var = tensors[item.norm.var].double() if item.norm else None  # an infinite one folds to 0
    suspects = [t for t in (weight, bias, var) if t is not None]
    # A sum is finite only if every term is; it costs a fraction of testing each.
    if not math.isfinite(sum(float(t.sum()) for t in suspects)) and not all(bool(t.isfinite().all()) for t in suspects):
        raise ValueError(_what_is_not_finite(item, tensors))
    if item.conv.transposed is not None:
        weight = ordinary_weight(weight, item.conv, item.conv.transposed)
        bias = None if bias is None else bias.repeat_interleave(item.conv.transposed.stride**2)
    if item.conv.channels is not None:
        begin, end = item.conv.channels
        weight = weight[:, begin:end]
        bias = bias if begin == 0 else None
    return weight.to(dtype), None if bias is None else bias.to(dtype)


def _fold(item: Conv, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
    conv, norm = item.conv, item.norm
    weight = tensors[conv.weight].detach().double()
    bias = None if conv.bias is None else tensors[conv.bias].detach().double()
    if norm is not None:
        mean, var = tensors[norm.mean].detach().double(), tensors[norm.var].detach().double()
        scale = torch.rsqrt(var + norm.eps)
        if norm.weight is not None:
            scale = scale * tensors[norm.weight].detach().double()
        weight = weight * (scale[:, None, None, None] if conv.transposed is None else scale[:, None, None])
        bias = (-mean if bias is None else bias - mean) * scale
        if norm.bias is not None:
            bias = bias + tensors[norm.bias].detach().double()
    return weight, bias


def _what_is_not_finite(item: Conv, tensors: Mapping[str, Tensor]) -> str:
    norm = item.norm
    keys = (item.conv.weight, item.conv.bias, *((norm.weight, norm.bias, norm.mean, norm.var) if norm else ()))
    for key in keys:
        if key is not None and not torch.isfinite(tensors[key]).all():
            return f"{key!r} holds NaN or Inf: the checkpoint is damaged, or its training diverged"
    if norm is not None and (tensors[norm.var] < 0).any():
        return f"{norm.var!r} holds a negative variance: the checkpoint is damaged"
    where = f" where the norm of {norm.var!r} is folded into it" if norm else ""
    return f"{item.conv.weight!r} overflows{where}: the checkpoint is damaged"

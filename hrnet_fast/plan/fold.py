"""Batch norm folded into its convolution's weights, exactly once and in float64."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .ir import Conv


def fold(item: Conv, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor | None]:
    """(weight [Cout, Cin / groups, kh, kw], bias [Cout] or None) of a planned convolution, computed in float64, cast once.

    tensors: the module's parameters and buffers by key. With gamma, beta, mean, var of the norm:
    weight * gamma / sqrt(var + eps), and (bias - mean) * gamma / sqrt(var + eps) + beta.
    """
    conv, norm = item.conv, item.norm
    weight = tensors[conv.weight].detach().double()
    bias = None if conv.bias is None else tensors[conv.bias].detach().double()
    if norm is not None:
        mean, var = tensors[norm.mean].detach().double(), tensors[norm.var].detach().double()
        scale = torch.rsqrt(var + norm.eps)
        if norm.weight is not None:
            scale = scale * tensors[norm.weight].detach().double()
        weight = weight * scale[:, None, None, None]
        bias = (-mean if bias is None else bias - mean) * scale
        if norm.bias is not None:
            bias = bias + tensors[norm.bias].detach().double()
    if conv.channels is not None:
        begin, end = conv.channels
        weight = weight[:, begin:end]
        bias = bias if begin == 0 else None
    return weight.to(dtype), None if bias is None else bias.to(dtype)

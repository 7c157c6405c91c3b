"""Weights in the order in which the kernels on AMX tiles read them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .pack import Packed

OUTPUTS = 16  # columns of a tile of weights
STEP = 32  # values that one tile multiplication takes along a tap: 16 pairs


def pack_amx(weight: Tensor, bias: Tensor | None, joined: bool) -> Packed:
    """Weight [Cout, Cin, kh, kw] -> bfloat16 [Cout / 16][tap][step of 32][16 pairs][16 outputs][2], flat; float32 bias.

    joined: a row of the kernel is one tap, of kw * Cin values, as its pixels lie side by side (dilation 1); else each
    of its kw pixels is a tap of Cin values. Outputs and steps are padded with zeros.
    """
    outputs, inputs, height, width = weight.shape
    taps, length = (height, width * inputs) if joined else (height * width, inputs)
    rows = weight.permute(0, 2, 3, 1).reshape(outputs, taps, length)
    rows = F.pad(rows, (0, -length % STEP, 0, 0, 0, -outputs % OUTPUTS))
    tiles = rows.view(-1, OUTPUTS, taps, rows.shape[2] // STEP, STEP // 2, 2).permute(0, 2, 3, 4, 1, 5)
    padded_bias = rows.new_zeros(rows.shape[0], dtype=torch.float32)
    if bias is not None:
        padded_bias[:outputs] = bias
    return Packed(tiles.to(torch.bfloat16).reshape(-1), padded_bias)

"""Weights in the order in which the native kernels read them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packed:
    """weights: flat, as `pack` lays them out. bias: padded with zeros to whole vectors."""

    weights: Tensor
    bias: Tensor


def pack(weight: Tensor, bias: Tensor | None, lanes: int) -> Packed:
    """Weight [Cout, Cin, a, b] -> blocks of output channels, each [a, b, Cin, lanes of the block], flat; and the bias.

    a, b: the taps of a direct convolution, or the positions of Winograd's. lanes: floats in a vector. Blocks are two
    vectors wide, but the last one has three where their number is odd (`block_vectors` in csrc/cpu/program.h); the last
    vector is padded with zeros, that of the bias too.
    """
    outputs = weight.shape[0]
    vectors = -(-outputs // lanes)
    padded = weight.new_zeros(vectors * lanes, *weight.shape[1:])
    padded[:outputs] = weight
    blocks, first = [], 0
    while first < vectors:
        width = vectors - first if vectors - first in (1, 3) else 2
        block = padded[first * lanes : (first + width) * lanes]
        blocks.append(block.permute(2, 3, 1, 0).reshape(-1))
        first += width
    padded_bias = weight.new_zeros(vectors * lanes)
    if bias is not None:
        padded_bias[:outputs] = bias
    return Packed(torch.cat(blocks), padded_bias)

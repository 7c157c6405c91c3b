"""Weights in the order in which the native kernels read them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor

from .kernels import DIRECT, Kernel, plain
from .pages import Room
from .winograd import transform_weight


@dataclass(frozen=True, eq=False)
class Packed:
    """weights: flat, as `pack` lays them out. bias: padded with zeros to whole vectors."""

    weights: Tensor
    bias: Tensor


def pack(weight: Tensor, bias: Tensor | None, lanes: int, kernel: Kernel = DIRECT, room: Room | None = None) -> Packed:
    """Weight [Cout, Cin, kh, kw] -> blocks of output channels, flat, each [a, b, Cin, lanes of it]; and the bias.

    a, b: the taps of a direct convolution, or the positions of Winograd's; but where `plain` says that its weights stay
    as they are, they are [Cin, kh, kw, lanes of it]. lanes: floats in a vector. Blocks are two vectors wide, but the
    last one has three where their number is odd (`block_vectors` in csrc/cpu/program.h); the last vector is padded with
    zeros, that of the bias too. room: where they lie.
    """
    room = room or Room()
    outputs, inputs, *taps = weight.shape
    vectors = -(-outputs // lanes)
    as_is = plain(kernel, inputs, outputs)
    positions = taps if as_is else [kernel.m + 2] * 2
    order = (1, 2, 3, 0) if kernel.m and as_is else (2, 3, 1, 0)
    padded = room.empty(prod(positions) * inputs * vectors * lanes)
    left, first = padded, 0
    while first < vectors:  # block by block: all of them at once would take several times the memory for a while
        width = vectors - first if vectors - first in (1, 3) else 2
        rows = weight[first * lanes : (first + width) * lanes]
        made = (rows if as_is else transform_weight(rows, kernel.m)).permute(order)
        block = left[: prod(positions) * inputs * width * lanes].view(*made.shape[:3], width * lanes)
        block[..., : len(rows)] = made
        block[..., len(rows) :] = 0
        left, first = left[block.numel() :], first + width
    padded_bias = room.empty(vectors * lanes).zero_()
    if bias is not None:
        padded_bias[:outputs] = bias
    return Packed(padded, padded_bias)

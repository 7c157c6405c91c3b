"""Weights in the order in which the native kernels read them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .conv_kernels import DIRECT, FOURS, Kernel, fours, plain
from .pages import Allocator
from .winograd import transform_weight


@dataclass(frozen=True, eq=False)
class Packed:
    """weights: flat, as `pack` lays them out. bias: padded with zeros to whole vectors. plain: of Winograd's, those
    that are not transformed."""

    weights: Tensor
    bias: Tensor
    plain: bool = False


def pack(
    weight: Tensor, bias: Tensor | None, lanes: int, kernel: Kernel = DIRECT, memory: Allocator | None = None,
    per_word: int = 1, joined: bool = True,
) -> Packed:  # fmt: skip
    """Weight [Cout, Cin, kh, kw] -> blocks of output channels, flat, each [taps, words, lanes of it]; and the bias.

    per_word: values of a word, side by side for each output: 1 in float32, 2 in bfloat16. The taps of a direct
    convolution are its pixels, of Cin values each; joined: rows of pixels, of kw * Cin values. Those of Winograd's are
    its positions; but where `plain` says that its weights stay as they are, they are [Cin, kh, kw, lanes of it].
    lanes: floats in a vector. Blocks are two vectors wide, but the last one has three where their number is odd
    (`block_vectors` in csrc/cpu/program.h). Words and vectors are padded with zeros, those of the bias too. Where few
    outputs are left behind whole vectors, the last block ends in fours (csrc/cpu/items/fours.h).
    memory: where they lie.
    """
    memory = memory or Allocator()
    outputs, inputs, height, width = weight.shape
    vectors = -(-outputs // lanes)
    as_is = plain(kernel, -(-inputs // per_word), outputs)
    if kernel.m:
        taps, length = 9 if as_is else (kernel.m + 2) ** 2, inputs
    else:
        taps, length = (height, width * inputs) if joined else (height * width, inputs)
    words = -(-length // per_word)
    dtype = torch.float32 if per_word == 1 else torch.bfloat16
    ends_in_fours = fours(kernel, -(-inputs // per_word), outputs, lanes, taps)
    padded = memory.empty(taps * words_of_tap(words, vectors, lanes, ends_in_fours) * per_word, dtype=dtype)
    left, first = padded, 0
    while first < vectors:  # block by block: all of them at once would take several times the memory for a while
        across = lanes * (vectors - first if vectors - first in (1, 3) else 2)
        rows = weight[first * lanes : first * lanes + across]
        last = ends_in_fours and first * lanes + across >= outputs
        block = left[: taps * words_of_tap(words, across // lanes, lanes, last) * per_word]
        if kernel.m and as_is:
            made, block_of = rows.flatten(2).permute(1, 2, 0), block.view(words * per_word, taps, across)
        else:
            positions = (transform_weight(rows, kernel.m) if kernel.m else rows).permute(2, 3, 1, 0)
            made = positions.reshape(taps, length, len(rows))
            block_of = block.view(taps, -1, per_word) if last else block.view(taps, words, across, per_word)
        _fill_with_fours(block_of, made, lanes, words) if last else _fill(block_of, made)
        left, first = left[block.numel() :], first + across // lanes
    padded_bias = memory.empty(vectors * lanes).zero_()
    if bias is not None:
        padded_bias[:outputs] = bias
    return Packed(padded, padded_bias, bool(kernel.m) and as_is)


def words_of_tap(words: int, vectors: int, lanes: int, ends_in_fours: bool) -> int:
    """Words of weights of so many vectors of outputs by words of inputs, at one tap."""
    last = -(-words // (lanes // FOURS)) if ends_in_fours else words
    return ((vectors - 1) * words + last) * lanes


def _fill_with_fours(block: Tensor, made: Tensor, lanes: int, words: int) -> None:
    """[taps, words of (outputs of whole vectors, then fours), values] from made [taps, length, outputs].

    Of each lanes / 4 words: those of whole vectors, one word after the other, and a vector [4 outputs, word] of others.
    """
    at_once, whole, per_word = lanes // FOURS, made.shape[2] // lanes * lanes, block.shape[2]
    complete = -(-words // at_once) * at_once
    padding = (0, whole + FOURS - made.shape[2], 0, complete * per_word - made.shape[1])
    made = F.pad(made, padding).unflatten(1, (complete, per_word)).transpose(2, 3)  # [taps, words, outputs, values]
    vectors, rest = made.split([whole, FOURS], 2)
    rest = rest.unflatten(1, (-1, at_once)).transpose(2, 3).flatten(2, 3)  # [taps, steps, outputs * words, values]
    for step, first in enumerate(range(0, words, at_once)):
        now = min(at_once, words - first)
        both = torch.cat((vectors[:, first : first + now].flatten(1, 2), rest[:, step]), 1)
        begin = first * whole + step * lanes
        block[:, begin : begin + both.shape[1]] = both


def _fill(block: Tensor, made: Tensor) -> None:
    """[taps, words, lanes, values] from [taps, length, outputs], or [inputs, taps, lanes] from fewer."""
    if block.dim() == 4:
        if made.shape[1] % block.shape[3]:
            made = F.pad(made, (0, 0, 0, block.shape[1] * block.shape[3] - made.shape[1]))
        made = made.unflatten(1, (block.shape[1], block.shape[3])).transpose(2, 3)
        block[:, :, : made.shape[2]] = made
        block[:, :, made.shape[2] :] = 0
    else:
        block[: len(made), :, : made.shape[2]] = made
        block[: len(made), :, made.shape[2] :] = 0
        block[len(made) :] = 0

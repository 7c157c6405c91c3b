"""Random chains of convolutions for the CUDA level kernel, each with what torch computes of the same maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap, padded_channels
from hrnet_fast.kernels.level import RELUS, MapTerm
from tests.kernels.bordered_maps import empty_map, random_map, term_maps, total
from tests.kernels.cuda_cases import Case, How, make_sum, pack, tf32

USUAL = How()


@dataclass(frozen=True)
class ChainStep:
    """A convolution of a chain, with a ReLU. columns, chunk: as How has them. warps: how many share the pixels and the
    output channels, None for as few as there are pixels for; of the last step, How's."""

    channels: int
    kernel: int = 3
    stride: int = 1
    columns: int = 32
    chunk: int | None = None
    warps: tuple[int, int] | None = None
    relu: str = "last"


def bottleneck(middle: int, outputs: int, columns: int = 32, chunk: int | None = None) -> list[ChainStep]:
    """1x1, 3x3, 1x1."""
    return [ChainStep(middle, 1, 1, columns, chunk), ChainStep(middle, 3, 1, columns, chunk), ChainStep(outputs, 1)]


def halves(size: Sequence[int], step: ChainStep) -> tuple[int, int]:
    """The size of a step's result."""
    height, width = ((side + 2 * (step.kernel // 2) - step.kernel) // step.stride + 1 for side in size)
    return height, width


def make_chain(
    dtype: torch.dtype, inputs: int, steps: Sequence[ChainStep], size: tuple[int, int] = (7, 5), batch: int = 1,
    how: How = USUAL, terms: str = "", kept: bool = False, source: BorderedMap | None = None,
) -> Case:  # fmt: skip
    """A chain of convolutions of a random map, or of `source`.

    how: of the last step; its stages, two at least, are the chain's. terms: codes of NAMES. kept: add the source
    itself, from shared memory.
    """
    source = source or random_map((batch, inputs, *size), dtype)
    batch, size = source.shape[0], source.shape[2:]
    values, channels, made = 16 // dtype.itemsize, source.shape[1], []
    for step in steps:
        weight = torch.randn(step.channels, channels, step.kernel, step.kernel) / (channels * step.kernel**2) ** 0.5
        weight, bias, out_size = weight.to(dtype), torch.randn(step.channels), halves(size, step)
        packed_bias = torch.zeros(padded_channels(step.channels))
        packed_bias[: step.channels] = bias
        fields = dict(
            batch=batch, in_height=size[0], in_width=size[1], in_channels=padded_channels(channels),
            height=out_size[0], width=out_size[1], channels=padded_channels(step.channels), kernel=step.kernel,
            stride=step.stride, padding=step.kernel // 2, warps_k=1, warp_columns=step.columns,
            chunk=min(step.chunk or padded_channels(channels), padded_channels(channels)), relu=RELUS[step.relu],
            rounds=1,
        )  # fmt: skip
        made.append((weight, bias, {"weight": pack(weight, dtype), "bias": packed_bias}, fields))
        channels, size = step.channels, out_size
    added = ((MapTerm(source),) if kept else ()) + term_maps(terms, batch, channels, size, dtype)

    def result(kind: torch.dtype) -> Tensor:
        x = source.nchw().to(kind)
        for index, (step, (weight, bias, _, _)) in enumerate(zip(steps, made)):
            w = weight.to(kind)
            if kind == torch.float32:  # what torch does with TF32
                x, w = tf32(x.contiguous()), tf32(w)
            x = F.conv2d(x, w, bias.to(kind), step.stride, step.kernel // 2)
            last = index == len(steps) - 1
            x = (x.relu() if step.relu == "first" else x) + (total(added, size, kind) if last else 0.0)
            x = x.relu() if step.relu == "last" else x
        return x

    tile, pieces = how.tile, 0
    for index in range(len(steps) - 1, -1, -1):
        fields, step = made[index][3], steps[index]
        fields["tile_height"], fields["tile_width"] = tile
        if index == len(steps) - 1:
            m, n, k = how.warps
            fields |= dict(warps_k=k, warp_columns=how.columns, chunk=how.chunk or fields["in_channels"])
        elif step.warps:
            m, n = step.warps
        else:
            m = next(m for m in (1, 2, 4, 8) if 32 * m >= prod(tile))
            n = 8 // m
        fields |= dict(warps_m=m, warps_n=n)
        across = -(-fields["channels"] // (n * fields["warp_columns"]))
        pieces += across * -(-fields["in_channels"] // fields["chunk"])
        tile = tuple((side - 1) * step.stride + step.kernel for side in tile)
    assert all(fields["chunk"] % values == 0 for *_, fields in made)
    made[0][3].update(steps=len(steps), stages=min(max(2, how.stages), pieces))
    made[0][2]["source"] = source.data
    made[-1][3].update(kept=int(kept), border=1)
    inputs_of = [tensor for *_, parts, _ in made for tensor in parts.values()]
    return Case(
        empty_map((batch, channels, *size), dtype), (), added, [*inputs_of, *(term.map.data for term in added)],
        made[-1][3], result, made[-1][2], [(parts, fields) for *_, parts, fields in made[:-1]],
    )  # fmt: skip


def chains(dtype: torch.dtype, stages: int = 2) -> list[list[Case]]:
    """Launches that read what those before them write: a pair, a bottleneck, chains of strides, and their sum.

    The last steps of the third launch have all output channels at once, the others half of them.
    """
    how, whole = How((4, 8), (1, 1, 8), 16, 8, stages), How((4, 8), (1, 1, 8), 24, 8, stages)
    pair = [ChainStep(24, chunk=8, columns=16)] * 2
    first = make_chain(dtype, 24, pair, batch=2, how=how, kept=True)
    second = make_chain(dtype, 24, bottleneck(16, 24, 16, 8), how=how, kept=True, source=first.out)
    smaller = [ChainStep(16, stride=2, columns=16, chunk=8), ChainStep(24, stride=2, columns=16)]
    down = make_chain(dtype, 24, smaller, how=whole, source=second.out)
    third = make_chain(dtype, 24, pair, how=whole, kept=True, source=second.out)
    maps = [MapTerm(third.out), MapTerm(down.out, "nearest")]
    return [[first], [second], [third, down], [make_sum(maps, empty_map(third.out.shape, dtype), dtype)]]

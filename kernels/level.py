"""level: all convolutions and sums of one depth of a network in one launch, each with its whole epilogue.

    conv:  out = relu_last( relu_first( conv(source) + bias ) + sum_t resize(terms[t]) )
           source = one map, or relu( sum_s resize(sources[s]) ) formed while a pointwise convolution reads it
    sum:   out[:, first : first + C] = relu( sum_t resize(terms[t]) )

The maps are bordered (kernels/bordered.py). Products are summed in float32 and rounded once. An item must not read
what another item of its launch writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .bordered import BorderedMap, padded_channels
from .resize import resize_ref

MODES = {"same": 0, "nearest": 1, "bilinear": 2, "bilinear_corners": 3}
RELUS = {"none": 0, "first": 1, "last": 2}
CONV, SUM = 0, 1
MOST_TERMS = 7  # whose modes fit a record


@dataclass(frozen=True)
class MapTerm:
    """A summand: a map, and how it comes to the output's size: "same", "nearest", "bilinear", "bilinear_corners"."""

    map: BorderedMap
    mode: str = "same"


@dataclass(frozen=True)
class Tile:
    """How a program works: rows (pixels) and columns (channels) of its output tile, its step along K, and among how
    many programs K is shared."""

    rows: int
    columns: int
    step: int = 32
    split: int = 1


@dataclass(frozen=True)
class ConvWork:
    """A convolution of a level.

    weight, bias: as `pack_weight` made them for this tile. kernel, stride, padding: (y, x).
    """

    out: BorderedMap
    sources: tuple[MapTerm, ...]
    weight: Tensor
    bias: Tensor
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    tile: Any  # a Tile; what a subclass has its own kind of
    source_relu: bool = False
    terms: tuple[MapTerm, ...] = ()
    relu: str = "none"

    @property
    def forms_its_source(self) -> bool:
        return len(self.sources) > 1 or self.source_relu or self.sources[0].mode != "same"

    @property
    def tiles(self) -> int:
        return -(-self.out.pixels // self.tile.rows) * -(-self.out.channels // self.tile.columns)

    @property
    def programs(self) -> int:
        return self.tiles * self.tile.split


@dataclass(frozen=True)
class SumWork:
    """A sum of a level, written to the output's channels from `first` on."""

    out: BorderedMap
    terms: tuple[MapTerm, ...]
    tile: Tile
    first: int = 0
    relu: bool = False

    @property
    def width(self) -> int:
        """Channels written: with the padding, where the sum fills the map to its end."""
        own = self.terms[0].map.shape[1]
        return self.out.channels - self.first if self.first + own == self.out.shape[1] else own

    @property
    def programs(self) -> int:
        return -(-self.out.pixels // self.tile.rows) * -(-self.width // self.tile.columns)


Work = ConvWork | SumWork


def packed_shape(outputs: int, inputs: int, kernel: Sequence[int], tile: Tile) -> tuple[int, int]:
    """(rows, columns) of packed weights: output channels padded to the tile, K padded to its steps and shares."""
    k, unit = prod(kernel) * padded_channels(inputs), tile.step * tile.split
    return -(-padded_channels(outputs) // tile.columns) * tile.columns, -(-k // unit) * unit


def rounded_to_tf32(x: Tensor) -> Tensor:
    """float32 to the nearest TF32, ties away from zero; the tensor cores would cut."""
    return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def pack_weight(
    weight: Tensor, bias: Tensor | None, tile: Tile, dtype: torch.dtype, precision: str = "ieee"
) -> tuple[Tensor, Tensor]:
    """Weight [Cout, Cin, kh, kw] -> [Cout', K'] with K over kh, kw, Cin'; bias -> [Cout'] float32; pads are zero.

    precision: of float32 products, "ieee" or "tf32".
    """
    outputs, inputs, *kernel = weight.shape
    rows, columns = packed_shape(outputs, inputs, kernel, tile)
    taps = weight.new_zeros(outputs, *kernel, padded_channels(inputs))
    taps[..., :inputs] = weight.permute(0, 2, 3, 1)
    packed = torch.zeros(rows, columns, dtype=dtype, device=weight.device)
    packed[:outputs, : taps[0].numel()] = taps.reshape(outputs, -1)
    if dtype == torch.float32 and precision == "tf32":
        packed = rounded_to_tf32(packed)
    packed_bias = torch.zeros(rows, dtype=torch.float32, device=weight.device)
    if bias is not None:
        packed_bias[:outputs] = bias
    return packed, packed_bias


def level_ref(works: Sequence[Work]) -> None:
    """`level` in plain torch: every item after another, rounded to the maps' dtype after each step."""
    for work in works:
        if isinstance(work, ConvWork):
            _conv_ref(work)
        else:
            total = _total(work.terms, work.out.shape[2:])
            channels = work.terms[0].map.shape[1]
            work.out.nchw()[:, work.first : work.first + channels] = total.relu() if work.relu else total


def _conv_ref(work: ConvWork) -> None:
    source = work.sources[0].map
    inputs, outputs = source.shape[1], work.out.shape[1]
    taps = work.weight[:outputs, : prod(work.kernel) * source.channels].view(outputs, *work.kernel, source.channels)
    if work.forms_its_source:
        x = _total(work.sources, work.out.shape[2:])
        x = x.relu() if work.source_relu else x
    else:
        x = source.nchw()
    weight = taps[..., :inputs].permute(0, 3, 1, 2).to(x.dtype)
    y = F.conv2d(x, weight, work.bias[:outputs].to(x.dtype), work.stride, work.padding)
    y = y.relu() if work.relu == "first" else y
    for term in work.terms:
        y = y + _resized(term, work.out.shape[2:])
    work.out.nchw().copy_(y.relu() if work.relu == "last" else y)


def _total(terms: Sequence[MapTerm], size: Sequence[int]) -> Tensor:
    total = _resized(terms[0], size)
    for term in terms[1:]:
        total = total + _resized(term, size)
    return total


def _resized(term: MapTerm, size: Sequence[int]) -> Tensor:
    if term.mode == "same":
        return term.map.nchw()
    mode, _, corners = term.mode.partition("_")
    return resize_ref(term.map.nchw(), size, mode, bool(corners))


class Launch:
    """A level, ready to be launched again and again on the same maps.

    works: the items; programs of the first ones start first. warps, stages: Triton's. precision: of float32 products,
    "ieee" or "tf32". pdl: overlap this launch with the end of the one before it (sm_90). The kernel runs on the maps'
    device; on the CPU, in Triton's interpreter.
    """

    def __init__(
        self, works: Sequence[Work], *, warps: int = 4, stages: int = 4, precision: str = "ieee", pdl: bool = False
    ):
        if not works:
            raise ValueError("level: a launch needs at least one item")
        self.works, self.stages, device = tuple(works), stages, works[0].out.data.device
        tiles = [work.tiles if isinstance(work, ConvWork) and work.tile.split > 1 else 0 for work in works]
        counters = [-(-count // 4) * 4 for count in tiles]  # pointers stay 16 bytes aligned
        shared = sum(tiles) > 0  # a K; else nothing is allocated, and a launch may be made inside a capture
        self.arrivals = torch.zeros(sum(counters), dtype=torch.int32, device=device) if shared else None
        parts = [count * work.tile.split * work.tile.rows * work.tile.columns for count, work in zip(tiles, works)]
        self.partial = torch.empty(sum(parts), dtype=torch.float32, device=device) if shared else None
        self.interpreted = device.type != "cuda"
        arguments, tile, part = [], 0, 0
        for work, count, size in zip(works, counters, parts):
            meeting: tuple[Tensor, ...] = ()
            if count and self.partial is not None and self.arrivals is not None:
                meeting = self.partial[part : part + size], self.arrivals[tile : tile + count]
            arguments.append(_arguments(work, meeting))
            tile, part = tile + count, part + size
        self.programs = [work.programs for work in works]
        ends = tuple(sum(self.programs[: i + 1]) for i in range(len(works)))
        self.arguments = (*(tuple(group) for group in zip(*arguments)), ends)
        self.constants = dict(
            ITEMS=tuple(number for work in works for number in record(work)), PRECISION=precision, PDL=pdl,
            WIDEN=self.interpreted and works[0].out.data.dtype == torch.bfloat16,
        )  # fmt: skip
        self.options = dict(
            num_warps=warps, num_stages=stages, enable_fp_fusion=True, **({"launch_pdl": True} if pdl else {})
        )  # fmt: skip

    @property
    def specialisation(self) -> tuple[Any, ...]:
        """What the compiled kernel depends on: launches with an equal one share it.

        Triton compiles a number 1 in as a constant and marks multiples of 16: in tuples, also where told not to.
        """
        numbers = tuple((number == 1, number % 16 == 0) for number in _integers(self.arguments))
        return (self.works[0].out.data.dtype, numbers, *self.constants.items(), *self.options.items())

    def compile(self) -> None:
        """Compiles and loads the kernel without a launch; in Triton 3.6 a C compiler also makes what launches it."""
        from .triton import kernel

        function, grid = kernel("level", self.interpreted), (sum(self.programs),)
        made = function.warmup(*self.arguments, grid=grid, **self.constants, **self.options)
        callable(made.run)  # a property that loads and makes what it lacks, which the first launch would wait for

    def __call__(self) -> None:
        from .triton import kernel

        kernel("level", self.interpreted)[(sum(self.programs),)](*self.arguments, **self.constants, **self.options)


def _integers(value: object) -> Iterator[int]:
    """Those in nested tuples, in order."""
    if isinstance(value, tuple):
        for part in value:
            yield from _integers(part)
    elif isinstance(value, int):
        yield value


def record(work: Work) -> tuple[int, ...]:
    """What the kernel is compiled for, of one item: the record that kernels/triton/level.py describes."""
    tile, out = work.tile, work.out
    terms = tuple(MODES[term.mode] for term in work.terms)
    if isinstance(work, SumWork):
        relu = RELUS["last" if work.relu else "none"]
        channels = (work.terms[0].map.channels, out.channels, work.width)
        own = (SUM, tile.rows, tile.columns, 0, 1, 0, out.border, *[0] * 4, *channels, 0, relu)
        sources: tuple[int, ...] = ()
    else:
        own = (
            CONV, tile.rows, tile.columns, tile.step, tile.split, *work.kernel, *work.stride, *work.padding,
            work.sources[0].map.channels, out.channels, out.channels, int(work.source_relu), RELUS[work.relu],
        )  # fmt: skip
        sources = tuple(MODES[term.mode] for term in work.sources) if work.forms_its_source else ()
    if max(len(sources), len(terms)) > MOST_TERMS:
        raise ValueError(f"level: an item sums {max(len(sources), len(terms))} maps; at most {MOST_TERMS} are taken")
    low = sum(mode << 2 * i for i, mode in enumerate(sources))
    high = sum(mode << 2 * i for i, mode in enumerate(terms))
    return (*own, len(sources), len(terms), low + (high << 16))


def _arguments(work: Work, meeting: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Pointers and sizes of an item: maps, sources, terms, the sources' sizes, the terms' sizes, geometry.

    meeting: where programs that share K leave their sums and count their arrivals; empty if none do.
    """
    out = work.out
    pointers = tuple(term.map.data for term in work.terms)
    sizes = tuple(term_size(term, out) for term in work.terms)
    geometry: tuple[int, ...] = (out.pixels, *out.shape[2:])
    if isinstance(work, SumWork):
        return (out.data,), (), pointers, (), sizes, (*geometry, work.first)
    maps = (work.sources[0].map.data, work.weight, work.bias, out.data, *meeting)
    extra = work.sources if work.forms_its_source else ()
    source_sizes = tuple(term_size(term, out) for term in extra)
    geometry = (*geometry, *work.sources[0].map.shape[2:])
    return maps, tuple(term.map.data for term in extra), pointers, source_sizes, sizes, geometry


def term_size(term: MapTerm, out: BorderedMap) -> tuple[int, int, float, float]:
    """A term's height and width, and the scales that take an output position to it, as torch's interpolate has them."""
    height, width = term.map.shape[2:]
    pairs = zip((height, width), out.shape[2:])
    if term.mode == "bilinear_corners":
        down, across = ((s - 1) / (t - 1) if t > 1 else 0.0 for s, t in pairs)
    else:
        down, across = (s / t for s, t in pairs)
    return height, width, down, across

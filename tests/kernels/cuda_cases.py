"""Random convolutions and sums for the CUDA level kernel, each with what torch computes of the same maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap, padded_channels
from hrnet_fast.kernels.cuda_level import Level, LevelItem, LevelTerm
from hrnet_fast.kernels.level import MODES, RELUS, MapTerm, term_size
from hrnet_fast.numerics import relative_l2
from tests.kernels.bordered_maps import empty_map, outside, random_map, term_maps, total
from tests.kernels.cuda_emulator import Report, emulate


@dataclass(frozen=True)
class How:
    """How a CTA works.

    tile: output pixels, (height, width). warps: how they share pixels, output channels and K. columns: output channels
    of a warp. chunk: input channels loaded together, None for all. stages: chunks in flight. rounds: tiles of a CTA.
    grouped: whether warps multiply as warpgroups.
    """

    tile: tuple[int, int] = (8, 8)
    warps: tuple[int, int, int] = (2, 1, 4)
    columns: int = 32
    chunk: int | None = None
    stages: int = 1
    rounds: int = 1
    grouped: bool = False

    def __str__(self) -> str:
        warps = ".".join(map(str, self.warps))
        rounds = f"r{self.rounds}" * (self.rounds > 1) + "g" * self.grouped
        return f"{self.tile[0]}x{self.tile[1]}w{warps}c{self.columns}k{self.chunk or 'all'}s{self.stages}{rounds}"


@dataclass
class Case:
    """A convolution, a chain's last one, or a sum. fields: of its LevelItem. inputs: the tensors that it reads. result:
    torch's in a dtype, of what the maps that it reads then hold. parts: tensors that it points to, by name. before: a
    chain's steps before, each with its parts and fields."""

    out: BorderedMap
    sources: Sequence[MapTerm]
    terms: Sequence[MapTerm]
    inputs: list[Tensor]
    fields: dict[str, int]
    result: Callable[[torch.dtype], Tensor]
    parts: dict[str, Tensor] = field(default_factory=dict)
    before: Sequence[tuple[dict[str, Tensor], dict[str, int]]] = ()

    @property
    def want(self) -> Tensor:
        return self.result(torch.float64)

    @property
    def own(self) -> float:
        """Torch's error in the maps' dtype."""
        return relative_l2(self.result(self.out.data.dtype), self.want)


def tf32(x: Tensor) -> Tensor:
    """float32 values rounded to TF32, to nearest, ties away from zero."""
    return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def pack(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Weight [Cout, Cin, k, k] -> [Cout' / 8, Cin' / V, k * k, 8, V], V values of 16 bytes; pads are zero."""
    outputs, inputs, kernel, _ = weight.shape
    values = 16 // dtype.itemsize
    whole = torch.zeros(padded_channels(outputs), padded_channels(inputs), kernel * kernel, dtype=dtype)
    whole[:outputs, :inputs] = weight.flatten(2)
    whole = tf32(whole) if dtype == torch.float32 else whole
    return whole.view(-1, 8, whole.shape[1] // values, values, kernel * kernel).permute(0, 2, 4, 1, 3).contiguous()


def make_conv(
    dtype: torch.dtype, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, size: tuple[int, int] = (7, 5),
    batch: int = 1, how: How = How(), terms: str = "", relu: str = "last", sources: str = "",
    source: BorderedMap | None = None, residual: BorderedMap | None = None,
) -> Case:  # fmt: skip
    """A convolution of random maps. terms, sources: codes of NAMES. source, residual: maps to read in place of random
    ones."""
    size = source.shape[2:] if source else size
    out_size = tuple((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in size)
    formed = term_maps(sources, batch, inputs, size, dtype)
    read = source or random_map((batch, inputs, *size), dtype)
    added = term_maps(terms, batch, outputs, out_size, dtype) + ((MapTerm(residual),) if residual else ())
    weight = (torch.randn(outputs, inputs, kernel, kernel) / (inputs * kernel * kernel) ** 0.5).to(dtype)
    bias, packed = torch.randn(outputs), pack(weight, dtype)
    packed_bias = torch.zeros(padded_channels(outputs))
    packed_bias[:outputs] = bias

    def result(kind: torch.dtype) -> Tensor:
        x = total(formed, size, kind).relu() if sources else read.nchw().to(kind)
        w = weight.to(kind)
        if kind == torch.float32:  # what torch does with TF32
            x, w = tf32(x.contiguous()), tf32(w)
        y = F.conv2d(x, w, bias.to(kind), stride, kernel // 2)
        y = (y.relu() if relu == "first" else y) + total(added, out_size, kind)
        return y.relu() if relu == "last" else y

    batch, channels = len(read.nchw()), padded_channels(inputs)
    out = empty_map((batch, outputs, *out_size), dtype)
    fields = dict(
        batch=batch, in_height=size[0], in_width=size[1], in_channels=channels, height=out_size[0],
        width=out_size[1], channels=out.channels, kernel=kernel, stride=stride, padding=kernel // 2,
        tile_height=how.tile[0], tile_width=how.tile[1], warps_m=how.warps[0], warps_n=how.warps[1],
        warps_k=how.warps[2], warp_columns=how.columns, chunk=how.chunk or channels, stages=how.stages,
        source_relu=int(bool(sources)), relu=RELUS[relu], border=1, steps=1, rounds=how.rounds,
        grouped=int(how.grouped),
    )  # fmt: skip
    maps = [term.map.data for term in (*formed, *added)] + ([] if sources else [read.data])
    parts = {"weight": packed, "bias": packed_bias} | ({} if sources else {"source": read.data})
    return Case(out, formed, added, [packed, packed_bias, *maps], fields, result, parts)


def make_sum(
    terms: Sequence[MapTerm], out: BorderedMap, dtype: torch.dtype, first: int = 0, relu: bool = True
) -> Case:  # fmt: skip
    """A sum of maps, written to the output's channels from `first` on."""
    channels = terms[0].map.shape[1]
    written = out.channels - first if first + channels == out.shape[1] else channels

    def result(kind: torch.dtype) -> Tensor:
        y = total(terms, out.shape[2:], kind)
        return y.relu() if relu else y

    fields = dict(
        batch=out.shape[0], in_channels=terms[0].map.channels, height=out.shape[2], width=out.shape[3],
        channels=out.channels, first_channel=first, written=written, border=out.border, relu=RELUS["last"] * relu,
    )  # fmt: skip
    return Case(out, (), terms, [term.map.data for term in terms], fields, result)


def describe(cases: Sequence[Case], address: Callable[[Tensor], int] = Tensor.data_ptr) -> Level:
    """The launch that computes the cases. address: of a tensor, where the launch finds it."""
    level, at, index = Level(), 0, 0
    for case in cases:
        steps = [*case.before, (case.parts | {"out": case.out.data}, case.fields)]
        for parts, fields in steps:
            pointers = {name: address(tensor) for name, tensor in parts.items()}
            level.item[index] = LevelItem(**pointers, **fields)
            index += 1
        item = level.item[index - 1]
        item.first_source, item.sources = at, len(case.sources)
        item.first_term, item.terms = at + len(case.sources), len(case.terms)
        for term in (*case.sources, *case.terms):
            level.term[at] = LevelTerm(address(term.map.data), *term_size(term, case.out), MODES[term.mode])
            at += 1
    level.items, level.terms = index, at
    return level


def check(cases: Sequence[Case], dtype: torch.dtype, seed: int = 0) -> None:
    """Plays the cases in one launch, and verifies them."""
    play([cases], dtype, seed=seed)
    verify(cases)


def check_together(cases: Sequence[Case], dtype: torch.dtype) -> None:
    """One launch of all the cases gives the bits that a launch of each alone gives."""
    check(cases, dtype)
    for case in cases:
        before = case.out.data.clone()
        case.out.nchw().fill_(torch.nan)
        check([case], dtype, seed=1)
        assert torch.equal(before, case.out.data)


def verify(cases: Sequence[Case]) -> None:
    """Errors at most twice torch's, of what the maps hold that the cases read; border and padding as they were."""
    for case in cases:
        error, own = relative_l2(case.out.nchw().double(), case.want), case.own
        assert error <= 2 * own, f"error {error:.2e}, torch's {own:.2e}"
        assert outside(case.out) == 0


def chain(dtype: torch.dtype, how: How = How(), channels: int = 24) -> list[list[Case]]:
    """Launches that read what those before them write: a block, an exchange and its sum."""
    shape = dict(inputs=channels, outputs=channels, how=how, batch=2)
    first = make_conv(dtype, **shape)
    second = make_conv(dtype, source=first.out, residual=random_map(first.out.shape, dtype), **shape)
    third = make_conv(dtype, source=second.out, residual=first.out, **shape)
    down = make_conv(dtype, stride=2, source=third.out, **shape)
    up = make_conv(dtype, kernel=1, source=third.out, terms="b", **shape)
    maps = [MapTerm(up.out), MapTerm(down.out, "nearest")]
    return [[first], [second], [third], [down, up], [make_sum(maps, empty_map(up.out.shape, dtype), dtype)]]


def clear(levels: Sequence[Sequence[Case]]) -> None:
    """NaN in all outputs."""
    for level in levels:
        for case in level:
            case.out.nchw().fill_(torch.nan)


def play(levels: Sequence[Sequence[Case]], dtype: torch.dtype, **options) -> Report:
    """Plays launches one after another; options and result: as `emulate` has them."""
    inputs, outputs = memory_of(levels)
    return emulate([describe(level) for level in levels], dtype, inputs, outputs, **options)


def memory_of(levels: Sequence[Sequence[Case]]) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors that launches only read, and those that they write, each once."""
    cases = [case for level in levels for case in level]
    written = {case.out.data.data_ptr(): case.out.data for case in cases}
    read = {tensor.data_ptr(): tensor for case in cases for tensor in case.inputs if tensor.data_ptr() not in written}
    return list(read.values()), list(written.values())


def bits(levels: Sequence[Sequence[Case]]) -> Tensor:
    """All outputs, byte by byte."""
    return torch.cat([case.out.data.view(torch.int8) for level in levels for case in level])


def check_orders(levels: Sequence[Sequence[Case]], dtype: torch.dtype, seeds: int) -> None:
    """Launches that overlap, in an order of their threads that a seed draws, give the bits of launches one by one."""
    for level in levels:
        play([level], dtype)
    want = bits(levels)
    for seed in range(1, 1 + seeds):
        clear(levels)
        play(levels, dtype, seed=seed)
        assert torch.equal(bits(levels), want)

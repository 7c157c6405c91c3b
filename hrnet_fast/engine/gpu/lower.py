"""From a Plan to what a GPU is asked to do: a launch a level, and torch for what the kernels do not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap, padded_channels
from hrnet_fast.kernels.level import ConvWork, Launch, MapTerm, SumWork, Tile, Work, pack_weight

from ...plan import Concat, Conv, Function, Item, Level, Plan, Sum, Term
from ...plan.fold import fold
from ..interpret import Interpreter
from .layout import Memory
from .tiles import SUM_TILE, Gpu, Problem, choose, stages


def beyond(item: Item, plan: Plan) -> str | None:
    """Why the level kernel cannot play an item, or None."""
    if isinstance(item, Function):
        return f"{item.name} is neither a convolution nor a sum of maps"
    if any(len(plan.values[value].shape) != 4 for value in (*item.reads, item.out)):
        return f"{item.name} works on what is not a map"
    terms = item.parts if isinstance(item, Concat) else item.terms
    sources = item.sources if isinstance(item, Conv) else ()
    for term in (*terms, *sources):
        if term.resize is not None and term.resize.mode not in ("nearest", "bilinear"):
            return f"{item.name} interpolates by {term.resize.mode}"
    if isinstance(item, Conv):
        conv = item.conv
        if conv.groups != 1 or max(conv.dilation) > 1 or max(conv.padding) > 1:
            return f"{item.name} is grouped, dilated, or padded by more than one pixel"
        if item.has_prologue and not conv.pointwise:
            return f"{item.name} forms its input and is not pointwise"
    return None


@dataclass(frozen=True)
class TileChoice:
    """How a level's kernel is tiled: a tile for each convolution in the level's order, and steps in flight."""

    tiles: tuple[Tile, ...]
    stages: int

    def as_entry(self) -> dict[str, Any]:
        """For the cache: readable."""
        return {"tiles": [asdict(tile) for tile in self.tiles], "stages": self.stages}


def problem(item: Conv, plan: Plan, dtype: torch.dtype, precision: str) -> Problem:
    """The item as a matrix product over padded channels."""
    n, c, h, w = plan.values[item.out].shape
    k = prod(item.conv.kernel) * padded_channels(plan.values[item.sources[0].value].shape[1])
    exact = dtype == torch.float32 and precision == "ieee"
    resized = any(term.resize is not None for term in item.terms)
    formed = item.has_prologue and dtype != torch.float32
    return Problem(n * h * w, padded_channels(c), k, dtype.itemsize, exact, formed, resized)


def convolutions(level: Level, plan: Plan) -> list[Conv]:
    """The level's items that need a tile, in order."""
    return [item for item in level.items if isinstance(item, Conv) and beyond(item, plan) is None]


def signature(level: Level, plan: Plan, dtype: torch.dtype, precision: str) -> str:
    """What a level's tiling depends on, as text: equal for equal work."""
    parts = [str(dtype).removeprefix("torch.") + (" " + precision if dtype == torch.float32 else "")]
    for item in convolutions(level, plan):
        p, conv = problem(item, plan, dtype, precision), item.conv
        modes = "".join("=" if t.resize is None else t.resize.mode[0] for t in (*item.sources, *item.terms))
        parts.append(f"{p.pixels}x{p.channels}x{p.k}k{conv.kernel[0]}s{conv.stride[0]}{modes}")
    rest = sum(isinstance(item, (Sum, Concat)) for item in level.items)
    return " ".join(parts) + (f" +{rest}" if rest else "")


def model_choice(level: Level, plan: Plan, dtype: torch.dtype, precision: str, gpu: Gpu) -> TileChoice:
    """The tiles that the model of the GPU chooses for a level."""
    problems = tuple(problem(item, plan, dtype, precision) for item in convolutions(level, plan))
    if not problems:
        return TileChoice((), 2)
    tiles = choose(problems, gpu)
    return TileChoice(tiles, stages(tiles, dtype.itemsize, gpu))


@dataclass
class Step:
    """A level as it is played. launches: one for the items that the level kernel knows, and before it one for inputs
    that float32 convolutions form; others: what torch plays, by item."""

    launches: list[Launch]
    others: list[tuple[Item, Callable[[], None]]]

    def __call__(self) -> None:
        for launch in self.launches:
            launch()
        for _, play in self.others:
            play()


class Lowering:
    """Makes the steps of plans on the Triton kernel. Weights are folded once and packed once for each tile that asks
    for them.

    tensors: the module's parameters and buffers by key. precision: of float32 products, "ieee" or "tf32". pdl: let each
    launch begin while the one before it ends.
    """

    work = ConvWork

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, precision: str, pdl: bool
    ):
        self.tensors, self.dtype, self.device, self.precision, self.pdl = tensors, dtype, device, precision, pdl
        self.torch = Interpreter(tensors, dtype, device)
        self._packed: dict[tuple, tuple[Tensor, Tensor]] = {}

    def release(self) -> None:
        """Let go of the packed weights; steps that were made keep theirs."""
        self._packed.clear()

    def beyond(self, item: Item, plan: Plan) -> str | None:
        """Why the kernel cannot play an item, or None."""
        return beyond(item, plan)

    def steps(self, plan: Plan, memory: Memory, choice: Callable[[Level], Any], overlap: bool = True) -> list[Step]:
        """One step a level. choice: the tiles of a level. overlap: whether launches may overlap at all.

        A launch overlaps with a launch of the same kernel alone: what torch plays may end in a copy, and a graph has no
        such edge from one.
        """
        made: list[Step] = []
        for index, level in enumerate(plan.levels):
            between = 0 < index < len(plan.levels) - 1
            early = overlap and self.pdl and between and not made[-1].others
            made.append(self.step(level, plan, memory, choice(level), early))
        return made

    def step(self, level: Level, plan: Plan, memory: Memory, choice: Any, pdl: bool) -> Step:
        """The longest programs first, so that the short ones fill up the end."""
        tiles, timed, others, formed = iter(choice.tiles), [], [], []
        for item in level.items:
            if self.beyond(item, plan) is not None:
                others.append((item, self._by_torch(item, memory)))
            elif isinstance(item, (Sum, Concat)):
                timed += [(0, work) for work in sum_works(item, memory)]
            else:
                work = self._conv(item, memory, next(tiles))
                if work.forms_its_source and not self._can_form(work):
                    formed.append(self._formed(work))
                    work = replace(work, sources=(MapTerm(formed[-1].out),), source_relu=False)
                timed.append((self._length(work), work))
        works = [work for _, work in sorted(timed, key=lambda pair: -pair[0])]
        return Step(self._launches(formed, works, choice, pdl), others)

    def _can_form(self, work: ConvWork) -> bool:
        """Whether a convolution can form its source while it reads."""
        return self.dtype != torch.float32  # else too much for a thread's registers

    def _length(self, work: ConvWork) -> int:
        """What a program's time grows with."""
        return work.weight.shape[1] // work.tile.split

    def _launches(self, formed: list[SumWork], works: list[Work], choice: TileChoice, pdl: bool) -> list[Launch]:
        launches = [Launch(formed, stages=2, pdl=pdl)] if formed else []
        if works:
            launches.append(Launch(works, stages=choice.stages, precision=self.precision, pdl=pdl))
        return launches

    def _formed(self, work: ConvWork) -> SumWork:
        """The sum that a convolution would form while it reads, on a map of its own."""
        channels = work.sources[0].map.shape[1]
        made = BorderedMap.zeros((work.out.shape[0], channels, *work.out.shape[2:]), self.dtype, self.device)
        return SumWork(made, work.sources, SUM_TILE, 0, work.source_relu)

    def _conv(self, item: Conv, memory: Memory, tile: Any) -> ConvWork:
        out, conv = memory.maps[item.out], item.conv
        weight, bias = self._weights(item, tile)
        return self.work(
            out, tuple(map_term(term, memory) for term in item.sources), weight, bias, conv.kernel, conv.stride,
            conv.padding, tile, item.source_relu, tuple(map_term(term, memory) for term in item.terms), item.relu,
        )  # fmt: skip

    def _weights(self, item: Conv, tile: Tile) -> tuple[Tensor, Tensor]:
        key = (item.conv, item.norm, tile.columns, tile.step * tile.split)
        if key not in self._packed:
            weight, bias = pack_weight(*fold(item, self.tensors), tile, self.dtype, self.precision)
            self._packed[key] = weight.to(self.device), bias.to(self.device)
        return self._packed[key]

    def _by_torch(self, item: Item, memory: Memory) -> Callable[[], None]:
        def play() -> None:
            memory.views[item.out].copy_(self.torch.play(item, memory.views))

        return play


def map_term(term: Term, memory: Memory) -> MapTerm:
    return MapTerm(memory.maps[term.value], mode_of(term))


def mode_of(term: Term) -> str:
    """How a term is resized, as the level kernel names it."""
    if term.resize is None:
        return "same"
    corners = term.resize.mode == "bilinear" and term.resize.align_corners
    return term.resize.mode + ("_corners" if corners else "")


def sum_works(item: Sum | Concat, memory: Memory) -> list[SumWork]:
    """A sum; or for a concatenation, one a part, each writing its own channels."""
    out = memory.maps[item.out]
    if isinstance(item, Sum):
        return [SumWork(out, tuple(map_term(term, memory) for term in item.terms), SUM_TILE, 0, item.relu)]
    works, first = [], 0
    for part in item.parts:
        works.append(SumWork(out, (map_term(part, memory),), SUM_TILE, first))
        first += memory.maps[part.value].shape[1]
    return works

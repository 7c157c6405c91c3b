"""From a Plan to what a GPU is asked to do: a launch a level, and torch for what the kernels do not know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.level import ConvWork, MapTerm, SumWork, Tile

from ...plan import Concat, Conv, Function, Item, Level, Plan, Sum, Term
from ..interpret import Interpreter
from .gpu import Gpu
from .layout import Memory

SUM_TILE = Tile(64, 32)


def unsupported_item(item: Item, plan: Plan) -> str | None:
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


@dataclass
class Step:
    """A level as it is played. launches: one for the items that the level kernel knows, and before it one for inputs
    that float32 convolutions form; others: what torch plays, by item."""

    launches: Sequence[Callable[[], None]]
    others: list[tuple[Item, Callable[[], None]]]

    def __call__(self) -> None:
        for launch in self.launches:
            launch()
        for _, play in self.others:
            play()


class Lowering(ABC):
    """Makes the steps of plans on a level kernel, of which a subclass knows the launches and the packing of weights.

    tensors: the module's parameters and buffers by key. precision: of float32 products, "ieee" or "tf32". overlap: let
    each launch begin while the one before it ends.
    """

    work: type[ConvWork]

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, precision: str, overlap: bool
    ):
        self.tensors, self.dtype, self.device, self.precision = tensors, dtype, device, precision
        self.overlap = overlap
        self.interpreter = Interpreter(tensors, dtype, device)
        self._packed: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}

    def release(self) -> None:
        """Let go of the packed weights; steps that were made keep theirs."""
        self._packed.clear()

    def unsupported_item(self, item: Item, plan: Plan) -> str | None:
        """Why the kernel cannot play an item, or None."""
        return unsupported_item(item, plan)

    def tiled(self, plan: Plan, level: Level) -> list[Any]:
        """The level's items that need a tile, in order: its convolutions, those that torch plays aside."""
        needing = (item for item in level.items if not isinstance(item, (Sum, Concat)))
        return [item for item in needing if self.unsupported_item(item, plan) is None]

    def problems(self, plan: Plan, level: Level) -> tuple[Any, ...]:
        """Those items as the tile model sees them."""
        return tuple(self.problem(item, plan) for item in self.tiled(plan, level))

    @abstractmethod
    def problem(self, item: Any, plan: Plan) -> Any:
        """An item as the tile model sees it."""

    @abstractmethod
    def signature(self, plan: Plan, level: Level) -> str:
        """What a level's tiling depends on, as text: equal for equal work. Measured tiles are kept under it."""

    @abstractmethod
    def model_choice(self, plan: Plan, level: Level, gpu: Gpu) -> Any:
        """The tiles that the model of the GPU chooses for a level."""

    def steps(self, plan: Plan, memory: Memory, choice: Callable[[Level], Any], overlap: bool = True) -> list[Step]:
        """One step a level. choice: the tiles of a level. overlap: whether launches may overlap at all.

        A launch overlaps with a launch of the same kernel alone: what torch plays may end in a copy, and a graph has no
        such edge from one.
        """
        made: list[Step] = []
        for index, level in enumerate(plan.levels):
            between = 0 < index < len(plan.levels) - 1
            early = overlap and self.overlap and between and not made[-1].others
            made.append(self.step(plan, level, memory, choice(level), early))
        return made

    def step(self, plan: Plan, level: Level, memory: Memory, choice: Any, overlap: bool) -> Step:
        """The longest programs first, so that the short ones fill up the end."""
        tiles = iter(choice.tiles)
        timed: list[tuple[int, Any]] = []
        others: list[tuple[Item, Callable[[], None]]] = []
        formed: list[SumWork] = []
        for item in level.items:
            if self.unsupported_item(item, plan) is not None:
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
        return Step(self._launches(formed, works, choice, overlap), others)

    @abstractmethod
    def _can_form(self, work: Any) -> bool:
        """Whether a convolution can form its source while it reads."""

    @abstractmethod
    def _length(self, work: Any) -> int:
        """What a program's time grows with."""

    @abstractmethod
    def _launches(
        self, formed: list[SumWork], works: list[Any], choice: Any, overlap: bool
    ) -> Sequence[Callable[[], None]]:
        """The launches of a level: of the sums that convolutions would form while they read, then of all else."""

    @abstractmethod
    def _weights(self, item: Conv, tile: Any) -> tuple[Tensor, Tensor]:
        """A convolution's folded and packed weights and bias; each is packed once."""

    def _formed(self, work: ConvWork) -> SumWork:
        """The sum that a convolution would form while it reads, on a map of its own."""
        channels = work.sources[0].map.shape[1]
        made = BorderedMap.zeros((work.out.shape[0], channels, *work.out.shape[2:]), self.dtype, self.device)
        return SumWork(made, work.sources, SUM_TILE, 0, work.source_relu)

    def _conv(self, item: Any, memory: Memory, tile: Any) -> Any:
        out, conv = memory.maps[item.out], item.conv
        weight, bias = self._weights(item, tile)
        return self.work(
            out, tuple(map_term(term, memory) for term in item.sources), weight, bias, conv.kernel, conv.stride,
            conv.padding, tile, item.source_relu, tuple(map_term(term, memory) for term in item.terms), item.relu,
        )  # fmt: skip

    def _by_torch(self, item: Item, memory: Memory) -> Callable[[], None]:
        pads = memory.maps[item.out].pads() if item.out in memory.maps else None

        def play() -> None:
            memory.views[item.out].copy_(self.interpreter.play(item, memory.views))
            if pads is not None and pads.numel():
                pads.zero_()  # a convolution of Inf leaves NaN there, and may have had this memory

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

"""level in CUDA C++: the tiles of its convolutions, chains of them, the description of a launch, and the op.

What a level is stands in kernels/level.py, and how the kernel works in docs/cuda.md. Products of float32 maps are
TF32's. The op is there where the extension was built with CUDA, and it has no reference: it writes maps that a
description, laid out as csrc/cuda/level.h has it, points to.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .bordered import BorderedMap, padded_channels
from .extension import extension
from .level import MODES, RELUS, ConvWork, MapTerm, SumWork, rounded_to_tf32, term_size
from .library import define

WARPS, WARP_ROWS = 8, 32  # of a CTA; output pixels of a warp
WARP_COLUMNS = (16, 24, 32, 40, 48, 64)  # output channels that a warp may have
MOST_ITEMS, MOST_TERMS, MOST_STAGES = 12, 30, 4
MOST_STEPS = 3  # convolutions of a chain
SUM_GRANULES = 512  # 16-byte pieces of a sum that one CTA writes
POINTERS = ("source", "weight", "bias", "out")
NUMBERS = (
    "batch", "in_height", "in_width", "in_channels", "height", "width", "channels", "kernel", "stride", "padding",
    "tile_height", "tile_width", "warps_m", "warps_n", "warps_k", "warp_columns", "chunk", "stages", "first_source",
    "sources", "source_relu", "first_term", "terms", "relu", "first_channel", "written", "border", "steps", "kept",
    "rounds", "grouped",
)  # fmt: skip

define(
    "level(Tensor[] inputs, Tensor(a!)[] outputs, Tensor description, bool overlap) -> ()",
    reference=None,
    fake=lambda inputs, outputs, description, overlap: None,
)


class LevelTerm(ctypes.Structure):
    """A summand, as csrc/cuda/level.h has it."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("height", ctypes.c_int32), ("width", ctypes.c_int32),
        ("scale_y", ctypes.c_float), ("scale_x", ctypes.c_float), ("mode", ctypes.c_int32), ("unused", ctypes.c_int32),
    ]  # fmt: skip


class LevelItem(ctypes.Structure):
    """A convolution or a sum, as csrc/cuda/level.h has it."""

    _fields_ = [(name, ctypes.c_void_p) for name in POINTERS] + [(name, ctypes.c_int32) for name in NUMBERS]


class Level(ctypes.Structure):
    """What a launch computes, as csrc/cuda/level.h has it."""

    _fields_ = [
        ("items", ctypes.c_int32), ("terms", ctypes.c_int32),
        ("item", LevelItem * MOST_ITEMS), ("term", LevelTerm * MOST_TERMS),
    ]  # fmt: skip


def level_code(device: torch.device) -> tuple[int, bool]:
    """What a GPU takes of the extension: the architecture that it was compiled for, as 90 for sm_90, 0 where there is
    none for it; and whether it multiplies by warpgroups, as what was compiled for sm_90a alone does."""
    ask = getattr(extension().module, "level_code", None)
    return (0, False) if ask is None else ask(torch.cuda.current_device() if device.index is None else device.index)


def level_digest() -> str:
    """What the kernel was compiled from, as its build wrote down: equal for equal sources."""
    return extension().build.get("cuda_level") or "none"


@dataclass(frozen=True)
class CudaTile:
    """How a CTA of a convolution works.

    height, width: of its output tile in pixels, together at most WARP_ROWS * warps[0]. warps: how many share the
    pixels, the output channels, and K; their product is WARPS. columns: output channels of a warp, one of
    WARP_COLUMNS. chunk: input channels that are loaded together, a multiple of 16 bytes. stages: chunks in flight.
    rounds: tiles that a CTA computes one after another; above 1 its weights, one chunk of all channels, stay. grouped:
    on sm_90a four warps that share the pixels multiply as a warpgroup (warps[0] is 4 or 8).
    """

    height: int
    width: int
    warps: tuple[int, int, int]
    columns: int
    chunk: int
    stages: int
    rounds: int = 1
    grouped: bool = False

    @property
    def channels(self) -> int:
        """Output channels of the CTA."""
        return self.warps[1] * self.columns

    def __str__(self) -> str:
        warps = ".".join(map(str, self.warps)) + "g" * self.grouped
        rounds = f" r{self.rounds}" if self.rounds > 1 else ""
        return f"{self.height}x{self.width}x{self.channels} w{warps} k{self.chunk}*{self.stages}{rounds}"


@dataclass(frozen=True)
class CudaConv(ConvWork):
    """A convolution of a level. weight, bias: as `pack_granules` made them. kernel, stride, padding: square."""

    tile: CudaTile

    @property
    def chunks(self) -> int:
        return -(-self.sources[0].map.channels // self.tile.chunk)

    @property
    def tiles(self) -> int:
        return self._tiles_of_a_slice * self._slices

    @property
    def programs(self) -> int:
        return -(-self._tiles_of_a_slice // self.tile.rounds) * self._slices

    @property
    def _tiles_of_a_slice(self) -> int:
        n, _, height, width = self.out.shape
        return n * -(-height // self.tile.height) * -(-width // self.tile.width)

    @property
    def _slices(self) -> int:
        return -(-self.out.channels // self.tile.channels)


@dataclass(frozen=True)
class CudaChain:
    """Convolutions that the same CTAs play one after another; what lies in between never leaves shared memory.

    steps: two to MOST_STEPS. Each but the first has one source, what the step before leaves: `out` of all but the last
    is a map without memory, and their tiles are what the next step reads. The first one's stages are those of all.
    kept: whether the last one's first term is the first one's source, which is then taken from shared memory.
    """

    steps: tuple[CudaConv, ...]
    kept: bool = False
    forms_its_source = False

    @property
    def out(self) -> BorderedMap:
        return self.steps[-1].out

    @property
    def terms(self) -> tuple[MapTerm, ...]:
        return self.steps[-1].terms

    @property
    def programs(self) -> int:
        """CTAs: each has all output channels."""
        (n, _, height, width), tile = self.out.shape, self.steps[-1].tile
        return n * -(-height // tile.height) * -(-width // tile.width)


CudaWork = CudaConv | CudaChain | SumWork


def steps_of(work: CudaWork) -> tuple[CudaConv | SumWork, ...]:
    """What a launch has an item for."""
    return work.steps if isinstance(work, CudaChain) else (work,)


def blocks(work: CudaWork) -> int:
    """CTAs of an item."""
    if not isinstance(work, SumWork):
        return work.programs
    values = 16 // work.out.data.dtype.itemsize
    return -(-work.out.pixels * -(-work.width // values) // SUM_GRANULES)


def pack_granules(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight [Cout, Cin, k, k] -> [Cout' / 8, Cin' / V, k * k, 8, V], V values in 16 bytes; bias -> [Cout'] float32.

    Pads are zero, and float32 weights are rounded to TF32. The same for every tile.
    """
    outputs, inputs, kernel, _ = weight.shape
    values = 16 // dtype.itemsize
    whole = weight.new_zeros(padded_channels(outputs), padded_channels(inputs), kernel * kernel, dtype=dtype)
    whole[:outputs, :inputs] = weight.flatten(2)
    if dtype == torch.float32:
        whole = rounded_to_tf32(whole)
    packed_bias = weight.new_zeros(len(whole), dtype=torch.float32)
    if bias is not None:
        packed_bias[:outputs] = bias
    granules = whole.view(-1, 8, whole.shape[1] // values, values, kernel * kernel)
    return granules.permute(0, 2, 4, 1, 3).contiguous(), packed_bias


def describe(works: Sequence[CudaWork], address: Callable[[Tensor], int] = Tensor.data_ptr) -> Level:
    """The description of one launch. address: of a tensor, where the launch finds it.

    Raises ValueError for more items or terms than a launch takes (`in_launches` divides them).
    """
    items = sum(len(steps_of(work)) for work in works)
    terms = [term for work in works for term in (*_formed(work), *work.terms)]
    if items > MOST_ITEMS or len(terms) > MOST_TERMS:
        raise ValueError(
            f"level: {items} items of {len(terms)} terms; a launch takes {MOST_ITEMS} items and {MOST_TERMS} terms"
        )
    level, index, first = Level(items=items, terms=len(terms)), 0, 0
    for work in works:
        steps = steps_of(work)
        for step in steps:
            item = _conv_item(step, address) if isinstance(step, CudaConv) else _sum_item(step)
            item.batch, _, item.height, item.width = step.out.shape
            item.channels = step.out.channels
            if step is not steps[0]:
                item.source = None
            level.item[index] = item
            index += 1
        last = level.item[index - 1]
        last.out, last.kept = address(work.out.data), isinstance(work, CudaChain) and work.kept
        level.item[index - len(steps)].steps = 0 if isinstance(work, SumWork) else len(steps)
        last.first_source, last.sources = first, len(_formed(work))
        last.first_term, last.terms = first + last.sources, len(work.terms)
        for term in (*_formed(work), *work.terms):
            level.term[first] = LevelTerm(address(term.map.data), *term_size(term, work.out), MODES[term.mode])
            first += 1
    return level


def _formed(work: CudaWork) -> tuple[MapTerm, ...]:
    return work.sources if isinstance(work, CudaConv) and work.forms_its_source else ()


def _conv_item(work: CudaConv, address: Callable[[Tensor], int]) -> LevelItem:
    source, tile = work.sources[0].map, work.tile
    height, width = work.out.shape[2:] if work.forms_its_source else source.shape[2:]
    return LevelItem(
        source=None if work.forms_its_source else address(source.data), weight=address(work.weight),
        bias=address(work.bias), in_height=height, in_width=width, in_channels=source.channels, kernel=work.kernel[0],
        stride=work.stride[0], padding=work.padding[0], tile_height=tile.height, tile_width=tile.width,
        warps_m=tile.warps[0], warps_n=tile.warps[1], warps_k=tile.warps[2], warp_columns=tile.columns,
        chunk=tile.chunk, stages=tile.stages, rounds=tile.rounds, source_relu=work.source_relu,
        grouped=tile.grouped, relu=RELUS[work.relu], border=1,
    )  # fmt: skip


def _sum_item(work: SumWork) -> LevelItem:
    return LevelItem(
        in_channels=work.terms[0].map.channels, first_channel=work.first, written=work.width, border=work.out.border,
        relu=RELUS["last" if work.relu else "none"],
    )  # fmt: skip


def in_launches(works: Sequence[CudaWork]) -> list[list[CudaWork]]:
    """The works in their order, divided into as few launches as take them."""
    launches: list[list[CudaWork]] = []
    items, terms = MOST_ITEMS, MOST_TERMS
    for work in works:
        own, added = len(steps_of(work)), len(_formed(work)) + len(work.terms)
        if items + own > MOST_ITEMS or terms + added > MOST_TERMS:
            launches.append([])
            items, terms = 0, 0
        launches[-1].append(work)
        items, terms = items + own, terms + added
    return launches


class CudaLaunch:
    """A level, ready to be launched again and again on the same maps.

    works: at most MOST_ITEMS items, of MOST_TERMS terms; CTAs of the first ones start first. overlap: this launch may
    begin while the one before it ends (sm_90). op: what computes it, `torch.ops.hrnet_fast.level` but for tests.
    """

    def __init__(self, works: Sequence[CudaWork], overlap: bool = False, op: Callable[..., None] | None = None):
        if not works:
            raise ValueError("level: a launch needs at least one item")
        self.works, self.overlap, self.op = tuple(works), overlap, op or torch.ops.hrnet_fast.level.default
        self.description = torch.frombuffer(bytearray(describe(works)), dtype=torch.uint8)
        written = {id(work.out.data): work.out.data for work in works}
        read = {id(tensor): tensor for work in works for tensor in _read(work) if id(tensor) not in written}
        self.inputs, self.outputs = list(read.values()), list(written.values())
        self.blocks = sum(map(blocks, works))

    def __call__(self) -> None:
        self.op(self.inputs, self.outputs, self.description, self.overlap)


def _read(work: CudaWork) -> list[Tensor]:
    if isinstance(work, SumWork):
        return [term.map.data for term in work.terms]
    steps = work.steps if isinstance(work, CudaChain) else (work,)
    weights = [tensor for step in steps for tensor in (step.weight, step.bias)]
    return [*weights, *(term.map.data for term in (*steps[0].sources, *work.terms))]

"""The native CPU executor: our own float32 kernels play the whole plan in one parallel region."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from hrnet_fast import kernels

from ...plan import Concat, Conv, Function, Item, Level, Plan, Sum, Term, Value
from ...plan.buffers import GRANULE, place
from ...plan.fold import fold
from .onednn import OneDnnExecutor
from .reference import Watch, call

LANES = 16  # floats in a vector
ISA_NAMES = {"avx512": "AVX-512"}


def unsupported() -> str | None:
    """Why this executor cannot play on this machine, or None."""
    extension = kernels.extension()
    if extension.kind == "none":
        return extension.reason
    return None if extension.module.cpu_program_isa() else "the native kernels need AVX-512"


def unsuited(plan: Plan) -> str | None:
    """Why this executor cannot play this plan, or None."""
    for item in plan.items():
        if isinstance(item, Conv) and (item.conv.groups != 1 or max(item.conv.padding) > 1):
            return f"{item.name} is grouped or pads by more than one pixel"
        if isinstance(item, (Sum, Concat)) and len(plan.values[item.out].shape) != 4:
            return f"{item.name} is not a map"
        if not isinstance(item, Function) and any(len(plan.values[v].shape) != 4 for v in item.reads):
            return f"{item.name} reads what is not a map"
    return None


class NativeExecutor:
    """Plays plans in float32 with direct convolutions, sums and interpolation in their epilogues.

    tensors: the module's parameters and buffers by key. why: why it computes in float32, for `explain`. Weights are
    folded and packed once for all shapes. Each plan owns one arena for each concurrent caller, made at its first call
    and used again. Results are the same for any number of threads. A plan that does not suit it is played by oneDNN.
    """

    name = "native"
    hands_over = False  # results may be its own buffers
    max_plans = 64  # shapes whose plans a module keeps
    dtype = torch.float32

    def __init__(self, tensors: Mapping[str, Tensor], why: str = "float32"):
        self.tensors = tensors
        isa = kernels.extension().module.cpu_program_isa()
        self.reason = f"own {ISA_NAMES[isa]} kernels, the whole plan in one parallel region, in {why}"
        self._packed: dict[tuple, tuple[Tensor, Tensor]] = {}
        self._lock = threading.Lock()

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        """(executor, reason) of a plan's level."""
        if why := unsuited(plan):
            return self._onednn(why).explain(plan, level)
        if all(isinstance(item, Function) for item in level.items):
            return "torch", "neither a convolution nor a sum of maps"
        return self.name, self.reason

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """A function from inputs to results, in the plan's order. watch: called with each item and its result."""
        if why := unsuited(plan):
            return self._onednn(why).prepare(plan, watch)
        with self._lock:
            program = _Program(with_prologues_as_sums(plan), self._weights, self.tensors, _only_of(plan, watch))
        return program.run

    def _onednn(self, why: str) -> OneDnnExecutor:
        return OneDnnExecutor(self.tensors, self.dtype, f"the native kernels were refused, as {why}")

    def _weights(self, item: Conv) -> tuple[Tensor, Tensor]:
        key = (item.conv, item.norm)
        if key not in self._packed:
            self._packed[key] = pack(*fold(item, self.tensors, torch.float32))
        return self._packed[key]


def _only_of(plan: Plan, watch: Watch | None) -> Watch | None:
    """Watches the plan's own items, not the sums that this executor writes out beside them."""
    own = {item.out for item in plan.items()}
    return None if watch is None else lambda item, result: watch(item, result) if item.out in own else None


def pack(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight [Cout, Cin, kh, kw] -> blocks of output channels, each [kh, kw, Cin, lanes], flat; bias padded likewise.

    Blocks are two vectors wide, but the last one has three where their number is odd (`block_vectors` in
    csrc/cpu/program.h).
    """
    outputs = weight.shape[0]
    vectors = -(-outputs // LANES)
    padded = weight.new_zeros(vectors * LANES, *weight.shape[1:])
    padded[:outputs] = weight
    blocks, first = [], 0
    while first < vectors:
        width = vectors - first if vectors - first in (1, 3) else 2
        block = padded[first * LANES : (first + width) * LANES]
        blocks.append(block.permute(2, 3, 1, 0).reshape(-1))
        first += width
    padded_bias = weight.new_zeros(vectors * LANES)
    if bias is not None:
        padded_bias[:outputs] = bias
    return torch.cat(blocks), padded_bias


def with_prologues_as_sums(plan: Plan) -> Plan:
    """The plan with every sum that a convolution forms while it reads as an item of its own, a level before."""
    values, levels = list(plan.values), []
    for level in plan.levels:
        sums, items = [], []
        for item in level.items:
            if isinstance(item, Conv) and item.has_prologue:
                source = item.sources[0]
                size = source.resize.size if source.resize else values[source.value].shape[2:]
                out = len(values)
                values.append(Value((*values[source.value].shape[:2], *size)))
                sums.append(Sum(f"{item.name} (input)", out, item.sources, item.source_relu))
                item = replace(item, sources=(Term(out),), source_relu=False)
            items.append(item)
        levels += ([Level(tuple(sums))] if sums else []) + [Level(tuple(items))]
    return replace(plan, values=tuple(values), levels=tuple(levels))


def bordered(shape: Sequence[int]) -> int:
    """Floats that a value takes: a map has a border of one pixel on each side."""
    n, c, h, w = shape if len(shape) == 4 else (1, prod(shape), 1, 1)
    count = n * (h + 2) * (w + 2) * c if len(shape) == 4 else c
    return -(-count // GRANULE) * GRANULE


@dataclass
class _Buffers:
    """The memory of one call: buffer 0 is the arena, the others hold the inputs. views: every value, as NCHW."""

    tensors: list[Tensor]
    views: dict[int, Tensor]


class _Program:
    """A plan compiled for the C++ class: built once, run many times, by several callers at once."""

    def __init__(self, plan: Plan, weights, tensors: Mapping[str, Tensor], watch: Watch | None):
        self.plan, self.watch = plan, watch
        shapes = [value.shape for value in plan.values]
        self.values, self.arena = place(shapes, plan.levels, plan.inputs, plan.outputs, size_of=bordered)
        self.params = {key: tensor.detach().float() for key, tensor in tensors.items()} if self._calls() else {}
        self.native = kernels.extension().module.CpuProgram()
        self.keep: list[Tensor] = []  # the program reads packed weights by address
        self.maps: dict[int, int] = {}
        for index, value in enumerate(plan.inputs):
            self._add_map(value, index + 1, 0)
        for item in plan.items():
            if len(shapes[item.out]) == 4:
                self._add_map(item.out, 0, self.values[item.out].offset)
        for level in plan.levels:
            self.native.add_level()
            for item in level.items:
                self._add(item, weights)
        self.free: list[_Buffers] = []
        self.lock = threading.Lock()

    def _calls(self) -> bool:
        return any(isinstance(item, Function) for item in self.plan.items())

    def _add_map(self, value: int, buffer: int, offset: int) -> None:
        n, c, h, w = self.plan.values[value].shape
        self.maps[value] = self.native.add_map(buffer, offset, n, h, w, c)

    def _add(self, item: Item, weights) -> None:
        if isinstance(item, Conv):
            packed, bias = weights(item)
            self.keep += [packed, bias]
            conv = item.conv
            self.native.add_conv(
                self.maps[item.out], self.maps[item.sources[0].value], packed.data_ptr(), bias.data_ptr(),
                conv.kernel, conv.stride, conv.padding, conv.dilation, self._terms(item.terms), item.relu,
            )  # fmt: skip
        elif isinstance(item, Sum):
            channels = self.plan.values[item.out].shape[1]
            relu = "last" if item.relu else "none"
            self.native.add_sum(self.maps[item.out], 0, channels, self._terms(item.terms), relu)
        elif isinstance(item, Concat):
            channel = 0
            for part in item.parts:
                channels = self.plan.values[part.value].shape[1]
                self.native.add_sum(self.maps[item.out], channel, channels, self._terms((part,)), "none")
                channel += channels

    def _terms(self, terms: Sequence[Term]) -> list[tuple[int, str, bool]]:
        return [
            (self.maps[t.value], t.resize.mode if t.resize else "", bool(t.resize and t.resize.align_corners))
            for t in terms
        ]

    def _new_buffers(self) -> _Buffers:
        tensors = [torch.empty(self.arena)]
        tensors += [torch.zeros(bordered(self.plan.values[v].shape)) for v in self.plan.inputs]
        views = {v: _view(tensors[i + 1], 0, self.plan.values[v].shape) for i, v in enumerate(self.plan.inputs)}
        for item in self.plan.items():
            views[item.out] = _view(tensors[0], self.values[item.out].offset, self.values[item.out].shape)
        return _Buffers(tensors, views)

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        with self.lock:
            buffers = self.free.pop() if self.free else None
        buffers = buffers or self._new_buffers()
        for value, x in zip(self.plan.inputs, inputs):
            buffers.views[value].copy_(x)
        addresses = [tensor.data_ptr() for tensor in buffers.tensors]
        begin = 0
        for index, level in enumerate(self.plan.levels):
            functions = [item for item in level.items if isinstance(item, Function)]
            if functions or self.watch or index == len(self.plan.levels) - 1:
                self.native.run(addresses, begin, index + 1)
                begin = index + 1
            for item in functions:
                self._call(item, buffers)
            if self.watch:
                for item in level.items:
                    self.watch(item, buffers.views[item.out])
        results = [buffers.views[v].clone() for v in self.plan.outputs]
        with self.lock:
            self.free.append(buffers)
        return results

    def _call(self, item: Function, buffers: _Buffers) -> None:
        reads = {v: _plain(buffers.views[v]) for v in item.reads}
        result = call(item, reads, self.params.__getitem__)
        place = self.values[item.out]
        buffers.tensors[0][place.offset : place.offset + place.size].zero_()  # the border too
        buffers.views[item.out].copy_(result)


def _plain(view: Tensor) -> Tensor:
    """Without the border, which no view of torch's can step over."""
    return view.contiguous(memory_format=torch.channels_last) if view.dim() == 4 else view


def _view(buffer: Tensor, offset: int, shape: tuple[int, ...]) -> Tensor:
    if len(shape) != 4:
        return buffer[offset : offset + prod(shape)].view(shape)
    n, c, h, w = shape
    inside = buffer[offset : offset + n * (h + 2) * (w + 2) * c].view(n, h + 2, w + 2, c)[:, 1:-1, 1:-1]
    return inside.permute(0, 3, 1, 2)

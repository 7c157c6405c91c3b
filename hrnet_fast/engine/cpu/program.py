"""A plan compiled for the C++ class CpuProgram: maps, items, buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import torch
from torch import Tensor

from hrnet_fast import kernels

from ...plan import Concat, Conv, Function, Item, Plan, Sum, Term
from ...plan.buffers import GRANULE, in_place, place
from ..executors.reference import Watch, call
from ..results import own_copies
from .kernels import Kernel
from .pack import Packed

KEPT_CALLS = 100  # buffers that so many calls in a row do not need are let go
DTYPES = {4: torch.float32, 2: torch.bfloat16}  # of maps, by bytes


def bordered(shape: Sequence[int], tail: int = 0) -> int:
    """Elements that a value takes: a map has a border of one pixel on each side, and `tail` elements behind it."""
    n, c, h, w = shape if len(shape) == 4 else (1, prod(shape), 1, 1)
    count = n * (h + 2) * (w + 2) * c + tail if len(shape) == 4 else c
    return -(-count // GRANULE) * GRANULE


@dataclass
class _Buffers:
    """The memory of one call: buffer 0 is the arena, the others hold the inputs. views: every value, as NCHW."""

    tensors: list[Tensor]
    views: dict[int, Tensor]


class CpuProgram:
    """Built once from a plan, run many times, by several callers at once.

    kernel_of: the kernel of a convolution. weights_of: its packed weights for that kernel. isa: the instruction
    set that they are packed for; "" for the widest allowed.
    """

    def __init__(
        self, plan: Plan, kernel_of: Callable[[Conv], Kernel], weights_of: Callable[[Conv, Kernel], Packed],
        tensors: Mapping[str, Tensor], watch: Watch | None, isa: str = "",
    ):  # fmt: skip
        self.plan, self.watch = plan, watch
        shapes = [value.shape for value in plan.values]
        self.native = kernels.extension().module.CpuProgram(isa)
        self.dtype = DTYPES[self.native.element_bytes]
        self.size_of = partial(bordered, tail=self.native.tail)
        taken = in_place(shapes, plan.levels, plan.inputs, plan.outputs)  # which keeps a map in the cache of its core
        self.values, self.arena = place(shapes, plan.levels, plan.inputs, plan.outputs, self.size_of, taken)
        self.read_beyond = _read_beyond(plan) if self.native.tail else 0
        self.params = {key: tensor.detach().to(self.dtype) for key, tensor in tensors.items()} if self._calls() else {}
        self.keep: list[Packed] = []  # the program reads packed weights by address
        self.maps: dict[int, int] = {}
        for index, value in enumerate(plan.inputs):
            self._add_map(value, index + 1, 0)
        for item in plan.items():
            if len(shapes[item.out]) == 4:
                self._add_map(item.out, 0, self.values[item.out].offset)
        for level in plan.levels:
            self.native.add_level()
            for item in level.items:
                if isinstance(item, Conv):
                    kernel = kernel_of(item)
                    self._add_conv(item, kernel, weights_of(item, kernel))
                else:
                    self._add_sums(item)
        self.free: list[_Buffers] = []  # the last one used at the end
        self.idle = self.calls = 0  # buffers that no call took since the last let go

    def _calls(self) -> bool:
        return any(isinstance(item, Function) for item in self.plan.items())

    def _add_map(self, value: int, buffer: int, offset: int) -> None:
        n, c, h, w = self.plan.values[value].shape
        self.maps[value] = self.native.add_map(buffer, offset, n, h, w, c)

    def _add_conv(self, item: Conv, kernel: Kernel, packed: Packed) -> None:
        self.keep.append(packed)
        conv, source = item.conv, item.sources[0].value
        self.native.add_conv(
            self.maps[item.out], self.maps[source], _span(packed.weights), _span(packed.bias), conv.kernel, conv.stride,
            conv.padding, conv.dilation, self._terms(item.terms), item.relu, kernel.m, kernel.group,
        )  # fmt: skip

    def _add_sums(self, item: Item) -> None:
        if isinstance(item, Sum):
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

    def new_buffers(self) -> _Buffers:
        beyond, shapes = self.read_beyond, [self.plan.values[v].shape for v in self.plan.inputs]
        tensors = [torch.empty(self.arena + beyond, dtype=self.dtype)]
        tensors += [torch.zeros(self.size_of(shape) + beyond, dtype=self.dtype) for shape in shapes]
        views = {v: _view(tensors[i + 1], 0, self.plan.values[v].shape) for i, v in enumerate(self.plan.inputs)}
        for item in self.plan.items():
            views[item.out] = _view(tensors[0], self.values[item.out].offset, self.values[item.out].shape)
        return _Buffers(tensors, views)

    def play(self, buffers: _Buffers, begin: int, end: int) -> None:
        """What is native of levels [begin, end)."""
        self.native.run([_span(tensor) for tensor in buffers.tensors], begin, end)

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        buffers = self._take()
        for value, x in zip(self.plan.inputs, inputs):
            buffers.views[value].copy_(x)
        begin = 0
        for index, level in enumerate(self.plan.levels):
            functions = [item for item in level.items if isinstance(item, Function)]
            if functions or self.watch or index == len(self.plan.levels) - 1:
                self.play(buffers, begin, index + 1)
                begin = index + 1
            for item in functions:
                self._call(item, buffers)
            if self.watch:
                for item in level.items:
                    self.watch(item, buffers.views[item.out])
        results = own_copies([buffers.views[v] for v in self.plan.outputs], inputs[0])
        self._give(buffers)
        return results

    # A list needs no lock, which a fork in the midst of another thread's call would leave locked for ever.
    def _take(self) -> _Buffers:
        try:
            buffers = self.free.pop()
        except IndexError:
            buffers = None
        self.idle = min(self.idle, len(self.free))
        return buffers or self.new_buffers()

    def _give(self, buffers: _Buffers) -> None:
        self.free.append(buffers)
        self.calls += 1
        if self.calls % KEPT_CALLS == 0:
            del self.free[: self.idle]
            self.idle = len(self.free)

    def _call(self, item: Function, buffers: _Buffers) -> None:
        reads = {v: _plain(buffers.views[v]) for v in item.reads}
        result = call(item, reads, self.params.__getitem__)
        place = self.values[item.out]
        buffers.tensors[0][place.offset : place.offset + place.size].zero_()  # the border too
        buffers.views[item.out].copy_(result)


def _span(flat: Tensor) -> tuple[int, int]:
    """Address and elements, which C++ checks."""
    return flat.data_ptr(), flat.numel()


def _read_beyond(plan: Plan) -> int:
    """Elements behind the last map that kernels on tiles read and leave out of their results: up to 15 pixels."""
    strides = [(item.conv.stride[1], item.sources[0].value) for item in plan.items() if isinstance(item, Conv)]
    return max((16 * stride * plan.values[value].shape[1] for stride, value in strides), default=0) + GRANULE


def _plain(view: Tensor) -> Tensor:
    """Without the border, which no view of torch's can step over."""
    return view.contiguous(memory_format=torch.channels_last) if view.dim() == 4 else view


def _view(buffer: Tensor, offset: int, shape: tuple[int, ...]) -> Tensor:
    if len(shape) != 4:
        return buffer[offset : offset + prod(shape)].view(shape)
    n, c, h, w = shape
    inside = buffer[offset : offset + n * (h + 2) * (w + 2) * c].view(n, h + 2, w + 2, c)[:, 1:-1, 1:-1]
    return inside.permute(0, 3, 1, 2)

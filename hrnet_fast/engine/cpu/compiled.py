"""A plan compiled for the C++ class CpuProgram: maps, items, buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import proxy

import torch
from torch import Tensor

from hrnet_fast import kernels

from ...plan import Concat, Conv, Item, Plan, Sum, Term
from ..interpret import Watch
from ..results import results_of
from .arena import fit
from .conv_kernels import DIRECT, Kernel
from .functions import linear_as_conv, mean_source, shuffle_source, unsupported_item
from .memory import BufferPool, Buffers, Kept, as_map, bordered, caller_tensor, span, view_of, without_border
from .pack import Packed
from .pages import flat

DTYPES = {4: torch.float32, 2: torch.bfloat16}  # of maps, by bytes


@dataclass(frozen=True)
class _Part:
    """Levels [begin, end) that the kernels play in one go, and what torch plays of the last of them."""

    begin: int
    end: int
    called: tuple[Item, ...]


class CompiledPlan:
    """Built once from a plan, run many times, by several callers at once.

    kernel_of: the kernel of a convolution. weights_of: its packed weights for that kernel. torch_plays: an
    item's result from what it reads, where the kernels do not play it; None where they play all. isa: the instruction
    set that weights are packed for; "" for the widest allowed. kept: what its executor's other plans keep of memory.
    """

    def __init__(
        self, plan: Plan, kernel_of: Callable[[Conv], Kernel], weights_of: Callable[[Conv, Kernel], Packed],
        torch_plays: Callable[[Item, Mapping[int, Tensor]], Tensor] | None, watch: Watch | None, isa: str = "",
        kept: Kept | None = None,
    ):  # fmt: skip
        self.plan, self.watch = plan, watch
        module = kernels.extension().compiled
        self.native, self.traits = module.CpuProgram(isa), module.cpu_isa_traits(isa)
        self.dtype = DTYPES[self.traits.element_bytes]
        self.arena = fit(plan, self.traits.tail)
        self.beside = [item.out for item in plan.items() if item.out not in self.arena.places]  # of torch's own memory
        self.read_beyond = _read_beyond(plan, self.traits.strip)
        functions = not self.traits.direct_alone
        called = {item.out for item in plan.items() if unsupported_item(item, plan, functions)}
        self.parts = self._parts(called)
        self.called_last = {item.out for item in self.parts[-1].called}
        self.torch = torch_plays
        self.keep: list[Packed] = []  # C++ reads packed weights by address
        self.maps: dict[int, int] = {}
        for index, value in enumerate(plan.inputs):
            self._add_map(value, index + 1, 0)
        for item in plan.items():
            if item.out in self.arena.places and len(as_map(plan.values[item.out].shape)) == 4:
                self._add_map(item.out, 0, self.arena.places[item.out].start)
        for level in plan.levels:
            self.native.add_level()
            for item in level.items:
                if item.out in called:
                    continue
                if isinstance(item, Conv):
                    kernel = kernel_of(item)
                    self._add_conv(item, kernel, weights_of(item, kernel))
                elif (linear := linear_as_conv(item, plan)) is not None:
                    self._add_conv(linear, DIRECT, weights_of(linear, DIRECT))
                else:
                    self._add_other(item)
        own = proxy(self)  # a plan that nobody holds is freed with its weights at once
        self.pool = BufferPool(lambda: own.new_buffers(), kept)

    def _add_map(self, value: int, buffer: int, offset: int) -> None:
        n, c, h, w = as_map(self.plan.values[value].shape)
        self.maps[value] = self.native.add_map(buffer, offset, n, h, w, c, value in self.arena.kept)

    def _add_conv(self, item: Conv, kernel: Kernel, packed: Packed) -> None:
        self.keep.append(packed)
        conv, source = item.conv, item.sources[0].value
        self.native.add_conv(
            self.maps[item.out], self.maps[source], span(packed.weights), span(packed.bias), conv.kernel, conv.stride,
            conv.padding, conv.dilation, self._terms(item.terms), item.relu, kernel.m, kernel.group,
            packed.plain,
        )  # fmt: skip

    def _add_other(self, item: Item) -> None:
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
        elif (source := shuffle_source(item, self.plan)) is not None:
            self.native.add_shuffle(self.maps[item.out], self.maps[source])
        elif (source := mean_source(item, self.plan)) is not None:
            self.native.add_mean(self.maps[item.out], self.maps[source])
        else:
            raise ValueError(f"the native kernels do not play {item.name}")

    def _terms(self, terms: Sequence[Term]) -> list[tuple[int, str, bool]]:
        return [
            (self.maps[t.value], t.resize.mode if t.resize else "", bool(t.resize and t.resize.align_corners))
            for t in terms
        ]

    def new_buffers(self) -> Buffers:
        spare, shapes = self.read_beyond, [self.plan.values[v].shape for v in self.plan.inputs]
        tensors = [flat(self.arena.size + spare, self.dtype)]
        sizes = [bordered(shape, self.traits.tail) + spare for shape in shapes]
        tensors += [torch.zeros(size, dtype=self.dtype, device="cpu") for size in sizes]
        views = {v: view_of(tensors[i + 1], 0, self.plan.values[v].shape) for i, v in enumerate(self.plan.inputs)}
        for value, place in self.arena.places.items():
            views[value] = view_of(tensors[0], place.start, self.plan.values[value].shape)
        return Buffers(tensors, views)

    def play(
        self, buffers: Buffers, begin: int, end: int, loads: Sequence[Any] = (), stores: Sequence[Any] = ()
    ) -> None:
        """What is native of levels [begin, end). loads, stores: as `caller_tensor` has them."""
        self.native.run([span(tensor) for tensor in buffers.tensors], begin, end, loads, stores)

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        results = results_of(self.plan, inputs[0])
        self.run_into(inputs, results)
        return results

    def run_into(self, inputs: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Writes the results into tensors of the caller's."""
        buffers = self.pool.take()
        loads, stores = [], []
        for value, x in zip(self.plan.inputs, inputs):
            if self._crosses(value, x):
                loads.append(caller_tensor(self.maps[value], x))
            else:
                buffers.views[value].copy_(x)
        copied = []
        for value, result in zip(self.plan.outputs, results):
            if value not in self.called_last and self._crosses(value, result):
                stores.append(caller_tensor(self.maps[value], result))
            else:
                copied.append((value, result))
        for part in self.parts:
            is_last = part is self.parts[-1]
            self.play(buffers, part.begin, part.end, () if part.begin else loads, stores if is_last else ())
            for item in part.called:
                self._call(item, buffers)
            if self.watch:
                for item in self.plan.levels[part.end - 1].items:
                    self.watch(item, buffers.views[item.out])
        for value, result in copied:
            result.copy_(buffers.views[value])
        for value in self.beside:
            del buffers.views[value]
        self.pool.give(buffers)

    def _crosses(self, value: int, tensor: Tensor) -> bool:
        """Whether the kernels read or write a tensor of the caller's themselves; else torch converts it."""
        return value in self.maps and tensor.dtype in (self.dtype, torch.float32) and not tensor.is_neg()

    def _parts(self, called: set[int]) -> list[_Part]:
        """Runs of levels that end where torch has to play something, or somebody to watch. called: by result."""
        parts, begin = [], 0
        for end, level in enumerate(self.plan.levels, 1):
            by_torch = tuple(item for item in level.items if item.out in called)
            if by_torch or self.watch or end == len(self.plan.levels):
                parts.append(_Part(begin, end, by_torch))
                begin = end
        return parts

    def _call(self, item: Item, buffers: Buffers) -> None:
        if self.torch is None:
            raise ValueError(f"{item.name} is for torch to play, which this plan was compiled without")
        reads = {v: without_border(buffers.views[v]) for v in item.reads}
        result = self.torch(item, reads)
        if item.out in self.beside:
            buffers.views[item.out] = result
            return
        place = self.arena.places[item.out]
        buffers.tensors[0][place.start : place.stop].zero_()  # the border too
        buffers.views[item.out].copy_(result)


def _read_beyond(plan: Plan, strip: int) -> int:
    """Elements behind the last map that kernels on strips of so many pixels read and leave out of their results."""
    strides = [(item.conv.stride[1], item.sources[0].value) for item in plan.items() if isinstance(item, Conv)]
    return max((strip * stride * plan.values[value].shape[1] for stride, value in strides), default=0)

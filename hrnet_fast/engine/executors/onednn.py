"""The oneDNN executor: folded, prepacked convolutions in channels-last, with sums and ReLU in their epilogues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from hrnet_fast import kernels

from ...plan import Concat, Conv, Item, Level, Plan, Sum, Term
from ...plan.fold import fold
from ...plan.lifetimes import dead_after
from ...plan.merge import SUMMANDS
from ..executor import Executor, Run
from ..interpret import Interpreter, Watch, total
from ..results import own_copies
from .reference import ReferenceExecutor

Step = Callable[[dict[int, Tensor]], Tensor]  # from the values that are alive; a step may add its own

DTYPES = (torch.float32, torch.bfloat16, torch.float16)  # as which it computes; the native kernels compute as the same


def unsupported(dtype: torch.dtype) -> str | None:
    """Why this executor cannot play in `dtype` on this machine, or None."""
    if dtype not in DTYPES:
        return f"oneDNN has no {_name(dtype)} convolutions"
    return None if torch.backends.mkldnn.is_available() else "this build of torch has no oneDNN"


def compute_dtype(dtype: torch.dtype) -> tuple[torch.dtype, str]:
    """The dtype in which a CPU convolves for a requested one, and why."""
    if dtype == torch.float32:
        return dtype, "float32"
    if dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported():
        return dtype, "bfloat16 on AMX tiles"
    return torch.float32, f"float32, as this CPU's {_name(dtype)} convolutions are slower and less exact"


def has_instructions(dtype: torch.dtype) -> bool:
    """Whether oneDNN finds instructions of this CPU for bfloat16 or float16."""
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype == torch.float16 and torch.ops.mkldnn._is_mkldnn_fp16_supported()


class OneDnnExecutor(Executor):
    """Plays a plan one item after another, each on all threads.

    tensors: the module's parameters and buffers by key. dtype: what to convolve in: float32, bfloat16 or float16.
    why: why this executor plays, for `explain`. Weights are packed for each input size, since oneDNN's choice of a
    kernel depends on it: packed for another size, small maps take a path that is a hundred times slower.
    Safe to call from several threads.
    """

    name = "onednn"
    device = torch.device("cpu")
    max_plans = 8  # each has weights of its own

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype, why: str = "as asked"):
        self.tensors, self.dtype = tensors, dtype
        self.reason = f"oneDNN convolutions in {_name(dtype)}: {why}"
        self.interpreter = Interpreter(tensors, dtype, self.device)

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        return self.name, self.reason

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        if not all(prod(value.shape) for value in plan.values):  # the kernels want elements
            return ReferenceExecutor(self.tensors, self.dtype).prepare(plan, watch)
        steps = [(item, self._step(item, plan)) for item in plan.items()]
        dead = dead_after(replace(plan, levels=tuple(Level((item,)) for item in plan.items())))
        inputs, outputs, dtype = plan.inputs, plan.outputs, self.dtype

        def run(given: Sequence[Tensor]) -> list[Tensor]:
            values: dict[int, Tensor] = {}
            for value, x in zip(inputs, given):
                layout = torch.channels_last if x.dim() == 4 else torch.contiguous_format
                values[value] = x.to(dtype).contiguous(memory_format=layout)
            for (item, step), unused in zip(steps, dead):
                values[item.out] = step(values)
                if watch is not None:
                    watch(item, values[item.out])
                for value in unused:
                    values.pop(value, None)
            return own_copies(plan, [values[v] for v in outputs], given[0])

        return run

    def _step(self, item: Item, plan: Plan) -> Step:
        if isinstance(item, Conv):
            return self._column(item, plan) if _is_column(item, plan) else self._conv(item, plan)
        if isinstance(item, Sum):
            return _sum(item.terms, item.relu, len(plan.values[item.out].shape))
        fused = _concat(item) if isinstance(item, Concat) else None
        return fused or (lambda values: self.interpreter.play(item, values))

    def _conv(self, item: Conv, plan: Plan) -> Step:
        conv = item.conv
        weight, bias = self._weights(item, plan)
        geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        read = _sum(item.sources, item.source_relu) if item.has_prologue else _get(item.sources[0].value)
        plain = [term.value for term in item.terms if term.resize is None]
        unary = torch.ops.mkldnn._convolution_pointwise.default
        if not item.terms:
            relu = "none" if item.relu == "none" else "relu"
            return lambda values: unary(read(values), weight, bias, *geometry, relu, [], "")
        if len(plain) == len(item.terms) == 1 and item.relu != "first" and _has_one_layout(plan.values[item.out].shape):
            last = "relu" if item.relu == "last" else None
            binary = torch.ops.mkldnn._convolution_pointwise.binary
            other = plain[0]
            return lambda values: binary(read(values), values[other], weight, bias, *geometry, "add", 1.0, last, [], "")
        early = "relu" if item.relu == "first" else "none"
        finish = _sum((Term(item.out), *item.terms), item.relu == "last")

        def step(values: dict[int, Tensor]) -> Tensor:
            values[item.out] = unary(read(values), weight, bias, *geometry, early, [], "")
            return finish(values)

        return step

    def _column(self, item: Conv, plan: Plan) -> Step:
        """The first column of the same convolution without strides, as oneDNN's own has wrong numbers."""
        relu = "none" if item.terms and item.relu == "last" else item.relu
        every = self._conv(replace(item, conv=replace(item.conv, stride=(1, 1)), terms=(), relu=relu), plan)
        finish = _sum((Term(item.out), *item.terms), bool(item.terms) and item.relu == "last")

        def step(values: dict[int, Tensor]) -> Tensor:
            values[item.out] = every(values)[..., :1]
            return finish(values)

        return step

    def _weights(self, item: Conv, plan: Plan) -> tuple[Tensor, Tensor | None]:
        conv, source = item.conv, item.sources[0]
        shape = plan.values[source.value].shape
        if source.resize is not None:
            shape = (*shape[:2], *source.resize.size)
        weight, bias = fold(item, self.tensors, self.dtype)
        geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, list(shape)), bias


def _is_column(item: Conv, plan: Plan) -> bool:
    """Whether a convolution makes one column of one channel with a stride along rows alone, of which oneDNN's
    channels-last kernels have wrong numbers (seen with torch 2.15)."""
    one_channel = plan.values[item.sources[0].value].shape[1] == 1
    return one_channel and plan.values[item.out].shape[3] == 1 and item.conv.stride[0] == 1 < item.conv.stride[1]


def _has_one_layout(shape: Sequence[int]) -> bool:
    """Whether only one memory format describes a channels-last map: of one channel, or one pixel, it is contiguous,
    too, and oneDNN's addition then fails ("could not create a memory", seen with torch 2.11)."""
    return shape[1] > 1 and prod(shape[2:]) > 1


def _get(value: int) -> Step:
    return lambda values: values[value]


def _sum(terms: Sequence[Term], relu: bool, rank: int = 4) -> Step:
    """The terms' sum by the fused kernel: each is read once, where it lies, interpolated on the way."""
    order = [term.value for term in terms]
    how = {(term.resize.mode, term.resize.align_corners): term.resize for term in terms if term.resize}
    if len(how) > 1 or rank != 4:  # the kernel interpolates maps, all in one way
        return lambda values: total(terms, values, relu)
    size = next((resize.size for resize in how.values()), None)
    mode, align = next(iter(how), ("nearest", False))

    def step(values: dict[int, Tensor]) -> Tensor:
        maps = [values[value] for value in order]
        return kernels.fuse_sum(maps, size or maps[0].shape[2:], mode, align, relu)

    return step


def _concat(item: Concat) -> Step | None:
    """By the fused kernel, which interpolates all parts, and only so many, in one way; else None."""
    order = [part.value for part in item.parts]
    how = {part.resize for part in item.parts if part.resize}
    if len(how) != 1 or len(order) > SUMMANDS:
        return None
    (resize,) = how
    layout = (resize.size, resize.mode, resize.align_corners)
    return lambda values: kernels.resize_concat([values[value] for value in order], *layout)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

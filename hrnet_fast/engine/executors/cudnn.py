"""The cuDNN executor: torch's fused convolutions, a level's branches on streams of their own, in one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hrnet_fast import kernels
from hrnet_fast.kernels.bordered import padded_channels

from ...plan import Conv, Function, Item, Level, Plan, Sum, Term
from ...plan.buffers import dead_after
from ...plan.fold import fold
from ..gpu.program import GpuProgram
from ..results import empty_result
from .reference import ReferenceExecutor, Watch, total

STREAMS = 4  # branches of an HRNet


def unsupported(dtype: torch.dtype, device: torch.device) -> str | None:
    """Why this executor cannot play here, or None."""
    if device.type != "cuda":
        return f"cuDNN runs on a GPU, and this is {device.type}"
    if not torch.backends.cudnn.is_available():
        return "this build of torch has no cuDNN"
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"cuDNN has no {str(dtype).removeprefix('torch.')} convolutions"
    return None


class Convolutions(Protocol):
    """The three convolutions that the executor is made of; x and z are channels-last, bias is [Cout]."""

    def plain(self, x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple) -> Tensor: ...

    def relu(self, x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple) -> Tensor: ...

    def add_relu(self, x: Tensor, z: Tensor, weight: Tensor, bias: Tensor, geometry: tuple) -> Tensor: ...


class CudnnConvolutions:
    """cuDNN's own. geometry: (stride, padding, dilation, groups)."""

    def plain(self, x, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry)

    def relu(self, x, weight, bias, geometry):
        return torch.ops.aten.cudnn_convolution_relu(x, weight, bias, *geometry)

    def add_relu(self, x, z, weight, bias, geometry):
        return torch.ops.aten.cudnn_convolution_add_relu(x, weight, z, 1.0, bias, *geometry)


class TorchConvolutions:
    """The same by separate torch operations: what the tests put in cuDNN's place on a CPU."""

    def plain(self, x, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry)

    def relu(self, x, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry).relu_()

    def add_relu(self, x, z, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry).add_(z).relu_()


@dataclass(frozen=True)
class _Packed:
    weight: Tensor
    bias: Tensor


class ItemTape:
    """A plan played item by item; maps are channels-last with channels padded to a multiple of 8 by zeros.

    Items of a level have streams of their own, which part and meet at the level's ends: what a level frees, none still
    reads.
    """

    def __init__(self, plan: Plan, executor: CudnnExecutor, watch: Watch | None = None):
        self.plan, self.watch, self.device = plan, watch, executor.device
        self.items = {item.out: executor.player(item, plan) for item in plan.items()}
        self.dead = dead_after(plan.levels, plan.outputs)
        self.inputs = {v: executor.empty(plan.values[v].shape) for v in plan.inputs}
        self.outputs: list[Tensor] = []
        self.streams = [torch.cuda.Stream(self.device) for _ in range(STREAMS)] if self.device.type == "cuda" else []

    def load(self, inputs: Sequence[Tensor]) -> None:
        for value, x in zip(self.plan.inputs, inputs):
            self._logical(value, self.inputs[value]).copy_(x)

    def play(self) -> None:
        values = dict(self.inputs)
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=True, deterministic=False, allow_tf32=torch.backends.cudnn.allow_tf32
        ):
            for level, dead in zip(self.plan.levels, self.dead):
                self._play_level(level.items, values)
                if self.watch is not None:
                    for item in level.items:
                        self.watch(item, self._logical(item.out, values[item.out]))
                for value in dead:
                    del values[value]
        self.outputs = [values[v] for v in self.plan.outputs]

    def _play_level(self, items: Sequence[Item], values: dict[int, Tensor]) -> None:
        if not self.streams or len(items) == 1:
            results = [self.items[item.out](values) for item in items]
        else:
            main = torch.cuda.current_stream()
            used = self.streams[: len(items)]
            for stream in used:
                stream.wait_stream(main)
            results = []
            for index, item in enumerate(items):
                with torch.cuda.stream(used[index % len(used)]):
                    results.append(self.items[item.out](values))
            for stream in used:
                main.wait_stream(stream)
        values.update((item.out, result) for item, result in zip(items, results))

    def results(self) -> list[Tensor]:
        return [self._logical(v, result) for v, result in zip(self.plan.outputs, self.outputs)]

    def _logical(self, value: int, tensor: Tensor) -> Tensor:
        shape = self.plan.values[value].shape
        return tensor[:, : shape[1]] if len(shape) == 4 else tensor


class CudnnExecutor:
    """Plays plans by cuDNN's fused convolutions: the floor under the other GPU executors.

    tensors: the module's parameters and buffers by key. convolutions: what computes; cuDNN, but for tests.
    """

    name = "cudnn"
    hands_over = True  # results are the caller's
    max_plans = 16  # shapes whose plans a module keeps, each with memory of its own

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        convolutions: Convolutions | None = None,
    ):  # fmt: skip
        self.tensors, self.dtype, self.device, self.why = tensors, dtype, device, why
        self.convolutions = convolutions or CudnnConvolutions()
        self.torch = ReferenceExecutor(tensors, dtype, device)
        self._packed: dict[tuple, _Packed] = {}

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        """(executor, reason) of a plan's level."""
        if all(isinstance(item, Function) for item in level.items):
            return "torch", "neither a convolution nor a sum of maps"
        return self.name, f"cuDNN's fused convolutions on {min(STREAMS, len(level.items))} streams: {self.why}"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """A function from inputs to results, in the plan's order. watch: called with each item and its result."""
        tape = self.tape(plan, watch)
        if watch is None:
            return GpuProgram(tape, empty_result).run

        def run(inputs: Sequence[Tensor]) -> list[Tensor]:
            tape.load(inputs)
            tape.play()
            return tape.results()

        return run

    def release(self) -> None:
        """Let go of the packed weights; plans that were prepared keep theirs."""
        self._packed.clear()

    def tape(self, plan: Plan, watch: Watch | None = None) -> ItemTape:
        """The plan's items, ready to be played."""
        return ItemTape(plan, self, watch)

    def empty(self, shape: Sequence[int]) -> Tensor:
        """A zeroed value of a logical shape, with padded channels if it is a map."""
        if len(shape) != 4:
            return torch.zeros(shape, dtype=self.dtype, device=self.device)
        n, c, h, w = shape
        made = torch.zeros(n, padded_channels(c), h, w, dtype=self.dtype, device=self.device)
        return made.contiguous(memory_format=torch.channels_last)

    def player(self, item: Item, plan: Plan) -> Callable[[Mapping[int, Tensor]], Tensor]:
        """A function from the values to an item's result."""
        if isinstance(item, Conv) and item.conv.groups == 1:
            return self._conv(item)
        if isinstance(item, Sum) and len(plan.values[item.out].shape) == 4:
            return lambda values: fused_sum([(values[t.value], t) for t in item.terms], item.relu)
        return self._by_torch(item, plan)

    def _conv(self, item: Conv) -> Callable[[Mapping[int, Tensor]], Tensor]:
        conv, ops = item.conv, self.convolutions
        packed = self._weights(item)
        geometry = (list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups)
        residual = len(item.terms) == 1 and item.terms[0].resize is None and item.relu == "last"

        def play(values: Mapping[int, Tensor]) -> Tensor:
            x = values[item.sources[0].value]
            if item.has_prologue:
                x = fused_sum([(values[t.value], t) for t in item.sources], item.source_relu)
            if residual:
                return ops.add_relu(x, values[item.terms[0].value], packed.weight, packed.bias, geometry)
            early = item.relu == "first" or (item.relu == "last" and not item.terms)
            y = (ops.relu if early else ops.plain)(x, packed.weight, packed.bias, geometry)
            if not item.terms:
                return y
            return fused_sum([(y, Term(item.out)), *((values[t.value], t) for t in item.terms)], item.relu == "last")

        return play

    def _weights(self, item: Conv) -> _Packed:
        key = (item.conv, item.norm)
        if key not in self._packed:
            weight, bias = fold(item, self.tensors)
            outputs, inputs, *kernel = weight.shape
            padded = weight.new_zeros(padded_channels(outputs), padded_channels(inputs), *kernel)
            padded[:outputs, :inputs] = weight
            padded_bias = weight.new_zeros(len(padded))
            if bias is not None:
                padded_bias[:outputs] = bias
            padded = padded.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
            self._packed[key] = _Packed(padded, padded_bias.to(self.device, self.dtype))
        return self._packed[key]

    def _by_torch(self, item: Item, plan: Plan) -> Callable[[Mapping[int, Tensor]], Tensor]:
        shapes = {value: plan.values[value].shape for value in (*item.reads, item.out)}

        def play(values: Mapping[int, Tensor]) -> Tensor:
            reads = {v: values[v][:, : shapes[v][1]] if len(shapes[v]) == 4 else values[v] for v in item.reads}
            result = self.torch.play(item, reads)
            if len(shapes[item.out]) != 4:
                return result
            extra = padded_channels(result.shape[1]) - result.shape[1]
            padded = F.pad(result, (0, 0, 0, 0, 0, extra)) if extra else result
            return padded.contiguous(memory_format=torch.channels_last)

        return play


def fused_sum(terms: Sequence[tuple[Tensor, Term]], relu: bool) -> Tensor:
    """The sum of interpolated maps in one kernel, or by torch where they are interpolated in several ways."""
    how = {(term.resize.mode, term.resize.align_corners): term.resize for _, term in terms if term.resize}
    if len(how) > 1 or any(mode not in ("nearest", "bilinear") for mode, _ in how):
        numbered = [Term(index, term.resize) for index, (_, term) in enumerate(terms)]
        return total(numbered, {index: x for index, (x, _) in enumerate(terms)}, relu)
    size = next((resize.size for resize in how.values()), tuple(terms[0][0].shape[2:]))
    mode, align = next(iter(how), ("nearest", False))
    return kernels.fuse_sum([x for x, _ in terms], size, mode, align, relu)

"""The cuDNN executor: torch's fused convolutions, a level's branches on streams of their own, in one CUDA graph."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hrnet_fast.kernels.bordered import padded_channels

from ...plan import Conv, Function, Item, Level, Plan, Sum, Term
from ...plan.fold import fold
from ...plan.lifetimes import dead_after
from ..executor import Executor, Run
from ..gpu.cudnn_settings import cudnn_set
from ..gpu.layout import formed_shape, unplaceable
from ..gpu.lower import unsupported_item
from ..gpu.sums import SumOf, sum_all
from ..gpu.tape import BRANCHES, GraphedTape, branch_streams, play_once
from ..interpret import Interpreter, Watch


def unsupported(dtype: torch.dtype, device: torch.device) -> str | None:
    """Why this executor cannot play here, or None."""
    if device.type != "cuda":
        return f"cuDNN runs on a GPU, and this is {device.type}"
    if not torch.backends.cudnn.is_available():
        return "this build of torch has no cuDNN"
    if importlib.util.find_spec("triton") is None:
        return "its sums need Triton: pip install triton"
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"cuDNN has no {str(dtype).removeprefix('torch.')} convolutions"
    return None


class Convolutions(Protocol):
    """The three convolutions that the executor is made of; x and z are channels-last, bias is [Cout]."""

    def plain(self, x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[Any, ...]) -> Tensor: ...

    def relu(self, x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[Any, ...]) -> Tensor: ...

    def add_relu(self, x: Tensor, z: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[Any, ...]) -> Tensor: ...


class CudnnConvolutions:
    """cuDNN's own. geometry: (stride, padding, dilation, groups)."""

    def plain(self, x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        return F.conv2d(x, weight, bias, *geometry)

    def relu(self, x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        return torch.ops.aten.cudnn_convolution_relu(x, weight, bias, *geometry)

    def add_relu(self, x: Tensor, z: Tensor, weight: Tensor, bias: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        return torch.ops.aten.cudnn_convolution_add_relu(x, weight, z, 1.0, bias, *geometry)


FORMED = -1  # where a convolution finds the input that was formed for it


@dataclass(frozen=True)
class Player:
    """An item: the sum that forms its input, what computes it from the values, and the sum that ends it."""

    compute: Callable[[Mapping[int, Tensor]], Tensor] | None
    source: SumOf | None = None
    total: SumOf | None = None


class ItemTape:
    """A plan played item by item; maps are channels-last with channels padded to a multiple of 8 by zeros.

    Inside of `capture` convolutions of a level have streams that part and meet within it: what a level frees, none
    still reads. Its sums are one launch.
    """

    def __init__(self, plan: Plan, executor: CudnnExecutor, watch: Watch | None = None):
        self.plan, self.watch, self.device = plan, watch, executor.device
        self.items = {item.out: executor.player(item, plan) for item in plan.items()}
        self.sum_all = executor.sum_all
        self.dead = dead_after(plan)
        self.inputs = {v: executor.empty(plan.values[v].shape) for v in plan.inputs}
        self.outputs: list[Tensor] = []

    def load(self, inputs: Sequence[Tensor]) -> None:
        for value, x in zip(self.plan.inputs, inputs):
            self._logical(value, self.inputs[value]).copy_(x)

    def play(self) -> None:
        values = dict(self.inputs)
        # what trials chose is known to the thread that had them; another one, which captures, could not have its own
        trials = self.device.type != "cuda" or not torch.cuda.is_current_stream_capturing()
        with cudnn_set(enabled=True, benchmark=trials, deterministic=False):
            for level, dead in zip(self.plan.levels, self.dead):
                self._play_level(level.items, values)
                if self.watch is not None:
                    for item in level.items:
                        self.watch(item, self._logical(item.out, values[item.out]))
                for value in dead:
                    del values[value]
        self.outputs = [values[v] for v in self.plan.outputs]

    def _play_level(self, items: Sequence[Item], values: dict[int, Tensor]) -> None:
        """Inputs that convolutions form, then all items on their streams, then what remains to be added."""
        players = [self.items[item.out] for item in items]
        sources = self._added([player.source for player in players], values)
        results = self._beside(players, [values if x is None else {**values, FORMED: x} for x in sources])
        for item, result in zip(items, results):
            if result is not None:
                values[item.out] = result
        totals = self._added([player.total for player in players], values)
        values.update((item.out, x) for item, x in zip(items, totals) if x is not None)

    def _added(self, sums: Sequence[SumOf | None], values: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The sums that are there, by one launch."""
        there = [each for each in sums if each is not None]
        made = iter(self.sum_all(there, values) if there else ())
        return [None if each is None else next(made) for each in sums]

    def _beside(self, players: Sequence[Player], values: Sequence[Mapping[int, Tensor]]) -> list[Tensor | None]:
        """What each player computes, where streams are on them, which part and meet again."""
        working = [(index, player.compute) for index, player in enumerate(players) if player.compute is not None]
        results: list[Tensor | None] = [None] * len(players)
        streams = branch_streams() if self.device.type == "cuda" and len(working) > 1 else ()
        if not streams:
            for index, compute in working:
                results[index] = compute(values[index])
            return results
        main, used = torch.cuda.current_stream(), streams[: len(working)]
        for stream in used:
            stream.wait_stream(main)
        for position, (index, compute) in enumerate(working):
            with torch.cuda.stream(used[position % len(used)]):
                results[index] = compute(values[index])
        for stream in used:
            main.wait_stream(stream)
        return results

    def results(self) -> list[Tensor]:
        return [self._logical(v, result) for v, result in zip(self.plan.outputs, self.outputs)]

    def _logical(self, value: int, tensor: Tensor) -> Tensor:
        shape = self.plan.values[value].shape
        return tensor[:, : shape[1]] if len(shape) == 4 else tensor


class CudnnExecutor(Executor):
    """Plays plans by cuDNN's fused convolutions: the floor under the other GPU executors.

    tensors: the module's parameters and buffers by key. convolutions, sum_all: what computes and adds; cuDNN and a
    Triton kernel, but for tests.
    """

    name = "cudnn"
    max_plans = 16  # each has memory of its own

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, why: str = "as asked",
        convolutions: Convolutions | None = None, sum_all: Callable[..., Any] = sum_all,
    ):  # fmt: skip
        self.tensors, self.dtype, self.device, self.why = tensors, dtype, device, why
        self.convolutions, self.sum_all = convolutions or CudnnConvolutions(), sum_all
        self.interpreter = Interpreter(tensors, dtype, device)
        self._packed: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        if all(isinstance(item, Function) for item in level.items):
            return "torch", "neither a convolution nor a sum of maps"
        return self.name, f"cuDNN's fused convolutions on {min(BRANCHES, len(level.items))} streams: {self.why}"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        tape = self.tape(plan, watch)
        return GraphedTape(tape).run if watch is None else partial(play_once, tape)

    def release(self) -> None:
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

    def player(self, item: Item, plan: Plan) -> Player:
        """How an item is played."""
        known = not (unsupported_item(item, plan) or unplaceable(plan, (item,)))
        if known and isinstance(item, Sum):
            return Player(None, total=SumOf(plan.values[item.out].shape, item.terms, item.relu))
        if known and isinstance(item, Conv):
            return self._conv(item, plan)
        return Player(self._by_torch(item, plan))

    def _conv(self, item: Conv, plan: Plan) -> Player:
        conv, ops, (weight, bias) = item.conv, self.convolutions, self._weights(item)
        geometry = (list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups)
        read, source, total = item.sources[0].value, None, None
        if item.has_prologue:
            read, source = FORMED, SumOf(formed_shape(item, plan), item.sources, item.source_relu)
        if len(item.terms) == 1 and item.terms[0].resize is None and item.relu == "last":
            other = item.terms[0].value
            return Player(lambda values: ops.add_relu(values[read], values[other], weight, bias, geometry), source)
        early = item.relu == "first" or (item.relu == "last" and not item.terms)
        compute = ops.relu if early else ops.plain
        if item.terms:
            total = SumOf(plan.values[item.out].shape, (Term(item.out), *item.terms), item.relu == "last")
        return Player(lambda values: compute(values[read], weight, bias, geometry), source, total)

    def _weights(self, item: Conv) -> tuple[Tensor, Tensor]:
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
            self._packed[key] = padded, padded_bias.to(self.device, self.dtype)
        return self._packed[key]

    def _by_torch(self, item: Item, plan: Plan) -> Callable[[Mapping[int, Tensor]], Tensor]:
        shapes = {value: plan.values[value].shape for value in (*item.reads, item.out)}

        def play(values: Mapping[int, Tensor]) -> Tensor:
            reads = {v: values[v][:, : shapes[v][1]] if len(shapes[v]) == 4 else values[v] for v in item.reads}
            result = self.interpreter.play(item, reads)
            if len(shapes[item.out]) != 4 or plan.values[item.out].dtype is not None:
                return result
            extra = padded_channels(result.shape[1]) - result.shape[1]
            padded = F.pad(result, (0, 0, 0, 0, 0, extra)) if extra else result
            return padded.contiguous(memory_format=torch.channels_last)

        return play

"""The reference executor: plays the Plan with plain torch operations, to tell a plan's faults from a kernel's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...plan import PREVIOUS, PURE_FUNCTIONS, Concat, Conv, Function, Item, Level, Param, Plan, Ref, Sum, Term
from ...plan.buffers import dead_after
from ...plan.fold import fold

Watch = Callable[[Item, Tensor], None]


class ReferenceExecutor:
    """Plays any plan in any floating dtype on any device, one torch operation at a time.

    tensors: the module's parameters and buffers by key. Folded weights are made at first use of an item and kept.
    """

    name = "reference"
    hands_over = False  # results may be its own buffers
    max_plans = 64  # shapes whose plans a module keeps

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str = "cpu",
        reason: str = "as asked",
    ):  # fmt: skip
        self.tensors, self.dtype, self.device, self.reason = tensors, dtype, torch.device(device), reason
        self._folded: dict[tuple, tuple[Tensor, Tensor | None]] = {}

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        """(executor, reason) of a plan's level."""
        return self.name, self.reason

    def release(self) -> None:
        """Let go of the folded weights; they are made again when they are needed."""
        self._folded.clear()

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """A function from inputs to results, in the plan's order. watch: called with each item and its result."""
        return lambda inputs: self.run(plan, inputs, watch)

    def run(
        self, plan: Plan, inputs: Sequence[Tensor], watch: Watch | None = None,
        arena: Tensor | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """Results of the plan, in its order, for inputs in its order.

        watch: called with each item and its result. arena: a flat tensor of at least `plan.arena` elements; every value
        then lives at its planned place there, which proves the places.
        """
        values: dict[int, Tensor] = {v: x.to(self.device, self.dtype) for v, x in zip(plan.inputs, inputs)}
        for level, dead in zip(plan.levels, dead_after(plan.levels, plan.outputs)):
            results = [(item, self.play(item, values)) for item in level.items]
            for item, result in results:
                if arena is not None:
                    result = _store(arena, plan, item.out, result)
                values[item.out] = result
                if watch is not None:
                    watch(item, result)
            for value in dead:
                del values[value]
        return [values[v] for v in plan.outputs]

    def play(self, item: Item, values: Mapping[int, Tensor]) -> Tensor:
        """One item's result from the values that it reads."""
        if isinstance(item, Conv):
            return self._conv(item, values)
        if isinstance(item, Sum):
            return total(item.terms, values, item.relu)
        if isinstance(item, Concat):
            return torch.cat([resized(part, values) for part in item.parts], dim=1)
        return call(item, values, self._tensor)

    def _conv(self, item: Conv, values: Mapping[int, Tensor]) -> Tensor:
        key = (item.conv, item.norm)
        if key not in self._folded:
            weight, bias = fold(item, self.tensors)
            self._folded[key] = tuple(None if t is None else t.to(self.device, self.dtype) for t in (weight, bias))
        weight, bias = self._folded[key]
        x = total(item.sources, values, item.source_relu)
        conv = item.conv
        y = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        if item.relu == "first":
            y = y.relu_()
        for term in item.terms:
            y = y + resized(term, values)
        return y.relu_() if item.relu == "last" else y

    def _tensor(self, name: str) -> Tensor:
        return self.tensors[name].detach().to(self.device, self.dtype)


def resized(term: Term, values: Mapping[int, Tensor]) -> Tensor:
    """A term's value, interpolated if the term says so."""
    x = values[term.value]
    if term.resize is None:
        return x
    align = term.resize.align_corners if term.resize.mode == "bilinear" else None
    return F.interpolate(x, term.resize.size, mode=term.resize.mode, align_corners=align)


def total(terms: Sequence[Term], values: Mapping[int, Tensor], relu: bool) -> Tensor:
    """The terms' sum, left to right, after a ReLU if asked."""
    y = resized(terms[0], values)
    for term in terms[1:]:
        y = y + resized(term, values)
    return y.relu() if relu else y


def call(item: Function, values: Mapping[int, Tensor], tensor: Callable[[str], Tensor]) -> Tensor:
    """Any other planned function, with the views that follow it."""
    result: Tensor | None = None

    def decode(value):
        if isinstance(value, Ref):
            return result if value.value == PREVIOUS else values[value.value]
        if isinstance(value, Param):
            return tensor(value.name)
        return type(value)(decode(v) for v in value) if isinstance(value, (tuple, list)) else value

    for step in item.calls:
        args = decode(step.args)
        result = PURE_FUNCTIONS[step.function](*args, **{key: decode(value) for key, value in step.kwargs})
    return result


def _store(arena: Tensor, plan: Plan, value: int, result: Tensor) -> Tensor:
    """The result copied to its place; maps lie there channels-last, as engines keep them."""
    place = plan.values[value]
    if tuple(result.shape) != place.shape:
        raise AssertionError(f"value {value} has shape {tuple(result.shape)}, but the plan says {place.shape}")
    flat = arena[place.offset : place.offset + result.numel()]
    if result.dim() != 4:
        return flat.view(result.shape).copy_(result)
    n, c, h, w = result.shape
    return flat.view(n, h, w, c).permute(0, 3, 1, 2).copy_(result)

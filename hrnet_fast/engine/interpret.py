"""Items of a plan played with torch: what executors fall back on where their own kernels do not know an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..plan import PREVIOUS, PURE_FUNCTIONS, Concat, Constant, Conv, Function, Item, Param, Ref, Sum, Term, tensor_of
from ..plan.fold import fold
from ..plan.tracing.constants import DTYPE


def _interpolated(x: Tensor, *args: Any, **how: Any) -> Tensor:
    return F.interpolate(x.contiguous() if how.get("antialias") else x, *args, **how)


# Maps may lie channels-last here where the network's own are contiguous, which `view` would refuse, and of which torch
# interpolates columns, one pixel wide, wrongly with antialiasing (torch 2.15).
_OF_ANY_LAYOUT: dict[str, Callable[..., Any]] = {
    "Tensor.view": Tensor.reshape, "Tensor.view_as": Tensor.reshape_as, "functional.interpolate": _interpolated,
}  # fmt: skip
_PLAYED = PURE_FUNCTIONS | _OF_ANY_LAYOUT

Watch = Callable[[Item, Tensor], None]  # called with each item and its result


class Interpreter:
    """Plays any item in any floating dtype on any device, by one torch operation after another.

    tensors: the module's parameters and buffers by key. Folded weights are made at first use of an item and kept.
    """

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device):
        self.tensors, self.dtype, self.device = tensors, dtype, device
        self._folded: dict[tuple[Any, ...], tuple[Tensor, Tensor | None]] = {}
        self._sources: dict[str, Tensor] = {}

    def play(self, item: Item, values: Mapping[int, Tensor]) -> Tensor:
        """One item's result from the values that it reads."""
        if isinstance(item, Conv):
            return self._conv(item, values)
        if isinstance(item, Sum):
            return total(item.terms, values, item.relu)
        if isinstance(item, Concat):
            return torch.cat([resized(part, values) for part in item.parts], dim=1)
        return call(item, values, self._tensor, self.dtype)

    def _conv(self, item: Conv, values: Mapping[int, Tensor]) -> Tensor:
        key = (item.conv, item.norm)
        if key not in self._folded:
            weight, bias = fold(item, self.tensors)
            bias = None if bias is None else bias.to(self.device, self.dtype)
            self._folded[key] = weight.to(self.device, self.dtype), bias
        weight, bias = self._folded[key]
        x = total(item.sources, values, item.source_relu)
        conv = item.conv
        y = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        if item.relu == "first":
            y = y.relu_()
        for term in item.terms:
            y = y + resized(term, values)
        return y.relu_() if item.relu == "last" else y

    def _tensor(self, source: Param | Constant) -> Tensor:
        if source.name not in self._sources:  # made once, and not while a CUDA graph is recorded
            self._sources[source.name] = tensor_of(source, self.tensors, self.dtype, self.device)
        return self._sources[source.name]


def resized(term: Term, values: Mapping[int, Tensor]) -> Tensor:
    """A term's value, interpolated if the term says so."""
    x = values[term.value]
    if term.resize is None:
        return x
    return F.interpolate(x, term.resize.size, mode=term.resize.mode, align_corners=term.resize.corners)


def total(terms: Sequence[Term], values: Mapping[int, Tensor], relu: bool) -> Tensor:
    """The terms' sum, left to right, after a ReLU if asked."""
    y = resized(terms[0], values)
    for term in terms[1:]:
        y = y + resized(term, values)
    return y.relu() if relu else y


def call(
    item: Function, values: Mapping[int, Tensor], tensor: Callable[[Param | Constant], Tensor], dtype: torch.dtype
) -> Tensor:  # fmt: skip
    """Any other planned function, with the views that follow it. dtype: of the maps."""
    result: Any = None  # before the first step
    for step in item.calls:
        known = _Known(values, result, tensor, dtype)
        kwargs = {key: known.decoded(value) for key, value in step.kwargs}
        result = _PLAYED[step.function](*known.decoded(step.args), **kwargs)
    of_maps = result.is_floating_point() and any(values[value].dtype == dtype for value in item.reads)
    return result.to(dtype) if of_maps else result  # else it has its own, as labels / 2


class _Known(NamedTuple):
    """What the arguments of a step may refer to; not a closure, which would hold the maps until Python collects it."""

    values: Mapping[int, Tensor]
    previous: Tensor | None
    tensor: Callable[[Param | Constant], Tensor]
    dtype: torch.dtype

    def decoded(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.previous if value.value == PREVIOUS else self.values[value.value]
        if isinstance(value, (Param, Constant)):
            return self.tensor(value)
        if value is DTYPE:
            return self.dtype
        return type(value)(map(self.decoded, value)) if isinstance(value, (tuple, list)) else value

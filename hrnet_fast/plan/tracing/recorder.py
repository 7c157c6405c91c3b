"""What a network does, function by function, as the nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from numbers import Number
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ..errors import PlanError
from . import functions as known
from .arguments import name_of
from .layers import Layers
from .values import writes_into

_NUMPYS = {"axis": "dim", "keepdims": "keepdim"}  # names that torch takes as well


class Recorder(Layers, TorchFunctionMode):
    """Sees every torch function while it is entered, and hands it to the method that writes it down."""

    def __torch_function__(self, function: Callable[..., Any], types, args=(), kwargs=None):
        if torch.is_inference_mode_enabled():  # the network's own, whose tensors would not count what writes to them
            with torch.inference_mode(False), torch.no_grad():
                return self.__torch_function__(function, types, args, kwargs)
        kwargs = dict(kwargs or {})
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        if function is F.embedding and any((*args[3:4], kwargs.get("max_norm"))):
            raise PlanError("embedding gets max_norm, by which it writes into its weight, which a plan cannot express")
        if not any(id(leaf) in self.traced for leaf in pytree.tree_leaves((args, kwargs))):
            return self._untraced(function, args, kwargs)
        kwargs = {_NUMPYS.get(key, key): value for key, value in kwargs.items()}
        if kwargs.pop("out", None) is not None:
            raise PlanError(f"{name_of(function)} gets out=, which a plan cannot express: use what it returns instead")
        if function in _METHODS:
            method, *given = _METHODS[function]
            return method(self, *given, *args, **kwargs)
        if getattr(function, "_qualified_op_name", "") == "torchvision::deform_conv2d":
            return self.call(known.DEFORM, args, kwargs)
        if (numbers := self.constants.like(function, args, kwargs)) is not None:
            return numbers
        return self.answer(function, *args, **kwargs)

    def _untraced(self, function: Callable[..., Any], args, kwargs):
        """What concerns no value of the plan runs as it is, but for draws and writes into the user's module."""
        if function in known.DRAWING:
            raise PlanError(f"the operation {name_of(function)} is not understood by the planner: {known.DRAWN}")
        out = kwargs.get("out")
        written = (args[:1] or kwargs) if known.writes(function) and out is None else out
        for leaf in pytree.tree_leaves(written):
            if isinstance(leaf, Tensor) and (name := self.owner(leaf)):
                raise PlanError(writes_into(name))
        if function in known.READING:
            self.read |= self._keys((args, kwargs))
        if function in known.TO_NUMPY and args[0] in self.constants and not self.owner(args[0]):
            self.constants.forget(args[0])  # nothing counts what NumPy writes
        result = self.constants.run(function, args, kwargs)
        if isinstance(result, (Tensor, tuple)) and (keys := self._keys((args, kwargs))):
            self._made_of |= {id(leaf): (leaf, keys) for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)}
        return result

    def _keys(self, values: Any) -> set[str]:
        """Those of the parameters and buffers that are among some values, or that these are made of."""
        own = [id(leaf) for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]
        named = {self.names[each] for each in own if each in self.names}
        return named.union(*(self._made_of[each][1] for each in own if each in self._made_of))

    def compute(self, name: str, *args, **kwargs) -> Tensor:
        """A pure function by name."""
        return (
            self.add(*args) if name == "torch.add" and len(args) == 2 and not kwargs else self.call(name, args, kwargs)
        )

    def compare(self, name: str, a, b) -> Tensor:
        return self.call(name, (a, b), {}) if isinstance(b, (Tensor, Number)) else NotImplemented  # as `mask != None`

    def in_place(self, name: str, target, *args, **kwargs) -> Tensor:
        """A function that writes what the one of this name computes into its first argument."""
        return self.overwrite(target, self.compute(name, target, *args, **kwargs))

    def activation(self, function: Callable[..., Any], *args, **kwargs) -> Tensor:
        """A function with an argument `inplace`."""
        given = signature(function).bind(*args, **kwargs)
        in_place = given.arguments.pop("inplace", False)
        result = self.call(known.NAMES[function], given.args, given.kwargs)
        return self.overwrite(args[0], result) if in_place else result


def _each(functions, method: Callable[..., Any]) -> dict[Callable[..., Any], tuple[Any, ...]]:
    """The method for each function; what functions are mapped to is its first argument."""
    if isinstance(functions, dict):
        return {function: (method, name) for function, name in functions.items()}
    return dict.fromkeys(functions, (method,))


# By torch's function: the method that gets its arguments, after some of its own. Later lines precede earlier ones.
_METHODS: dict[Callable[..., Any], tuple[Any, ...]] = {
    **_each(known.NAMES, Recorder.compute),
    **_each(known.IN_PLACE, Recorder.in_place),
    **_each(known.COMPARISONS, Recorder.compare),
    **_each({function: function for function in known.MAY_BE_IN_PLACE}, Recorder.activation),
    **_each(known.FILLS, Recorder.fill),
    Tensor.__setitem__: (Recorder.set_item,),
    **_each(known.PAIRS, Recorder.pair),
    **_each(known.ORDERED, Recorder.ordered),
    **_each(known.EXTREMES, Recorder.extreme),
    **_each(known.UNBIND, Recorder.unbind),
    **_each(known.SPLIT, Recorder.split),
    **_each(known.CHUNK, Recorder.chunk),
    F.scaled_dot_product_attention: (Recorder.scaled_dot_product_attention,),
    F.multi_head_attention_forward: (Recorder.attention,),
    F.instance_norm: (Recorder.instance_norm,),
    **_each({function: function for function in known.DROPOUT}, Recorder.dropout),
    **_each(known.CONCAT, Recorder.concat),
    **_each(known.INTERPOLATE, Recorder.interpolate),
    Tensor.type: (Recorder.type,),
    **_each({function: function for function in known.CASTS}, Recorder.cast),
    **_each(known.DETACH, Recorder.detach),
    **_each(known.CLONE, Recorder.clone),
    **_each(known.RELU_IN_PLACE, Recorder.relu_),
    **_each(known.RELU, Recorder.relu),
    F.batch_norm: (Recorder.norm,),
    torch.conv_transpose2d: (Recorder.conv_transpose,),
    torch.conv2d: (Recorder.conv,),
}

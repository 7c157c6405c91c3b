"""Pure functions, which a plan keeps as calls, and what reads or writes tensors without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from ..errors import PlanError
from ..graph import Call, Param, Ref
from . import functions as known
from .arguments import filled_mask, is_basic, name_of
from .constants import frozen, without_lists
from .shapes import result_without_call
from .values import Values


class Calls(Values):
    """Answers a function with a tensor of the right shape and no data, and writes its call down."""

    def call(self, name: str, args, kwargs) -> Tensor:
        """The result of a pure function by name."""
        leaves = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        with_maps = any(leaf.is_floating_point() and not self.has_own_dtype(leaf) for leaf in leaves)
        inputs: list[int] = []

        def encode(leaf):
            if not isinstance(leaf, Tensor):
                return leaf
            if id(leaf) in self.names:
                return Param(self.names[id(leaf)])
            if constant := self.constants.find(leaf):
                return constant
            given = self.as_map(leaf) if with_maps and leaf.is_floating_point() else leaf
            inputs.append(self.value_of(given, f"an argument of {name}"))
            return Ref(inputs[-1])

        detail = Call(
            name,
            frozen(pytree.tree_map(encode, without_lists(name, args))),
            tuple(sorted((key, frozen(pytree.tree_map(encode, value))) for key, value in kwargs.items())),
        )
        result = _without_data(name, args, kwargs)
        if with_maps:
            self._check_dtype(name, result)
        own = None if with_maps and result.is_floating_point() else result.dtype
        self.record("call", tuple(inputs), result, detail, own)
        if name not in known.COMPUTING or (name == "torch.einsum" and len(args) == 2):  # of one map, it may be a view
            self._view(name, args, kwargs, result)
        return result

    def _view(self, name: str, args, kwargs, result: Tensor) -> None:
        """A result may share memory with the arguments."""
        if name == "Tensor.__getitem__" and is_basic(args[1]):
            self.traced[id(result)].part_of = self.traced[id(args[0])], args[1]
        self.share(result, *pytree.tree_leaves((args, kwargs)))
        if name == "Tensor.contiguous":  # what repeats was copied
            self.traced[id(result)].repeats = False

    def is_fixed(self, x: Any) -> bool:
        """Whether a tensor is none of the plan's values: a parameter, or made of parameters and numbers."""
        return id(x) in self.names or x in self.constants

    def is_map(self, x: Any) -> bool:
        """Whether something is a value of the maps' dtype, which items other than calls may read."""
        return isinstance(x, Tensor) and x.dtype == self.dtype and not (self.is_fixed(x) or self.has_own_dtype(x))

    def alias(self, x: Tensor) -> Tensor:
        """Another tensor of the same value, which may go its own way later."""
        return self.stand(self.empty(x.shape, x.dtype), self.value_of(x, "a copy"))

    def clone(self, input, **_: Any) -> Tensor:
        return self.alias(input)

    def detach(self, input, *_: Any) -> Tensor:
        return self.share(self.alias(input), input)

    def cast(self, function: Callable[..., Any], input, *args, **kwargs) -> Tensor:
        """A cast of a constant, or of a value where it lies; a map stays in the maps' dtype, or is none any more."""
        x, like = input, pytree.tree_map(self.stand_in, ((input, *args), kwargs))
        result = function(*like[0], **like[1])
        if self.is_fixed(x):
            if result is not x:
                self.constants.cast(x, result)
            return result
        if not self.has_own_dtype(x):
            self._check_dtype(name_of(function), result)
        if result.device != self.device:
            raise PlanError(
                f"{name_of(function)} gives a tensor on {result.device}, but the network is on {self.device}"
            )
        if result.dtype != x.dtype:
            return self.call(known.CAST, (x, result.dtype), {})
        return self.share(self.alias(x), x)

    def type(self, input, *args, **kwargs) -> Any:
        """A cast to a named type, or the name of its own."""
        if args:
            return self.cast(Tensor.type, input, *args, **kwargs)
        return self.answer(Tensor.type, input, **kwargs)

    def write(self, target: Tensor, index: Any, value: Any) -> None:
        """target[index] = value, unless `value` is that part already, which `target[index] += x` gives back."""
        self.check_parts(target)
        part = self.traced.get(id(value))
        if part is None or part.unreadable or part.part_of != (self.traced.get(id(target)), index):
            self.overwrite(target, self.call(known.WRITTEN, (target, index, value), {}))

    def set_item(self, target, index, value) -> None:
        if is_basic(index):
            return self.write(target, index, value)
        self.check_parts(target)
        if (mask := filled_mask(target, index, value)) is None:
            result = self.call(known.WRITTEN, (target, index, value), {})
        else:
            if more := target.dim() - mask.dim():
                mask = self.call("Tensor.view", (mask, (*mask.shape, *[1] * more)), {})
            result = self.call("torch.masked_fill", (target, mask, value), {})
        self.overwrite(target, result)

    def fill(self, target, *args, **kwargs) -> Tensor:
        self.write(target, ..., known.filling(target, *args, **kwargs))
        return target

    def answer(self, function: Callable[..., Any], *args, **kwargs) -> Any:
        """Questions about shape, dtype and device are answered; any other function of a value is refused."""
        if function in known.WHERE:
            args, kwargs = pytree.tree_map(self.stand_in, (args, kwargs))
        if function in known.QUESTIONS or function in known.WHERE:
            result = function(*args, **kwargs)
            if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result)):
                return result
        why = f": {known.WHY_NOT[function]}" if function in known.WHY_NOT else ""
        raise PlanError(f"the operation {name_of(function)} is not understood by the planner{why}")

    def _check_dtype(self, name: str, result: Tensor) -> None:
        if result.dtype != self.dtype and (result.is_floating_point() or result.is_complex()):
            raise PlanError(f"{name} gives {result.dtype}, but a plan's floating-point numbers are all in {self.dtype}")


def _bare(leaf: Any) -> Any:
    return leaf.new_empty(leaf.shape, device="meta") if isinstance(leaf, Tensor) else leaf


def _without_data(name: str, args, kwargs) -> Tensor:
    """What a pure function returns for tensors without data."""
    result = result_without_call(name, args, kwargs)
    if result is None:
        args, kwargs = pytree.tree_map(_bare, (args, kwargs))
        try:
            result = known.PURE_FUNCTIONS[name](*args, **kwargs)
        except RuntimeError as error:
            if not (isinstance(error, NotImplementedError) or "on meta tensors" in str(error)):
                raise
            raise PlanError(f"the operation {name} cannot be planned: {known.BY_NUMBERS}") from error
    if not isinstance(result, Tensor):
        raise PlanError(f"{name} returns several tensors, which a plan cannot express")
    if name == "Tensor.view" and result.dtype != args[0].dtype:
        raise PlanError(f"{name} reads {args[0].dtype} as {result.dtype}, which a plan cannot express")
    return result

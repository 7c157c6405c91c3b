"""Tensors that a network makes of its parameters and of numbers alone, e.g. positions or `scale.view(-1, 1, 1)`: kept
as the calls that make them, since a plan holds no data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from numbers import Number
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.utils import _pytree as pytree

from ..errors import PlanError
from ..graph import Call, Constant, Param, Ref, constant
from . import functions as known
from .arguments import overlaps

_MAKE = ("zeros", "ones", "full", "arange", "linspace", "eye", "tensor", "as_tensor")
_CHANGE = ("to", "float", "long", "int", "bool", "clone", "detach")
_MAKING = {getattr(torch, name): f"torch.{name}" for name in _MAKE}
_CHANGING = {getattr(Tensor, name): f"Tensor.{name}" for name in _CHANGE}
# What makes numbers of the shape of a traced tensor, or of a shape that it gets: the same of numbers alone.
# What is left empty, to be written to, begins with zeros.
_LIKE = {torch.zeros_like: "torch.zeros", torch.ones_like: "torch.ones", torch.full_like: "torch.full",
         torch.empty_like: "torch.zeros"}  # fmt: skip
_NEW = {Tensor.new_zeros: "torch.zeros", Tensor.new_ones: "torch.ones", Tensor.new_full: "torch.full",
        Tensor.new_empty: "torch.zeros", Tensor.new_tensor: "torch.tensor"}  # fmt: skip
_NUMBERS = {"torch.full": "fill_value", "torch.tensor": "data"}  # which argument, after all others, says what they are
BY_NAME = known.PURE_FUNCTIONS | {name: function for function, name in (_MAKING | _CHANGING).items()}
BY_NAME |= {"grid": lambda axis, *given, **how: torch.meshgrid(*given, **how)[axis]}
_PLAIN = (Number, str, slice, torch.dtype, torch.device, torch.layout, torch.memory_format)
# Calls that make a constant, and how many of them inside each other, at most: each look-up names them all.
_LARGEST, _DEEPEST = 2000, 100
_NOT_OF_NUMBERS = ("device", "requires_grad", "pin_memory", "memory_format")
MAKERS = frozenset(_MAKING.values())
# How many numbers these make, which torch takes up to a second to tell for the first time.
_COUNTS: dict[str, Callable[..., int]] = {
    "torch.linspace": lambda start, end, steps, **_: steps, "torch.eye": lambda n, m=None, **_: n * (m or n),
}  # fmt: skip


class _Dtype:
    """Stands for the dtype of the maps, in which a network that asks for it makes its numbers and casts others."""

    def __repr__(self) -> str:
        return "dtype"

    def __reduce__(self) -> str:
        return "DTYPE"  # a copy is itself


DTYPE = _Dtype()


@dataclass(frozen=True)
class Made:
    """A tensor, kept as its id is a name only while it lives; how it was made; its version then; of how many calls,
    and how many inside each other."""

    tensor: Tensor
    call: Call
    version: int
    calls: int
    depth: int


class Constants:
    """Those of one trace. names: of parameters and buffers, by id; dtype: of the maps; device: of the network; made: by
    the tensor's id."""

    def __init__(self, names: Mapping[int, str], dtype: torch.dtype, device: torch.device, made: dict[int, Made]):
        self.names, self.dtype, self.device = names, dtype, device
        self._made = made

    def __contains__(self, x: Any) -> bool:
        return self.find(x) is not None

    def find(self, x: Any) -> Constant | None:
        """The constant that a tensor is, unless it was written to since it was made."""
        made = self._made.get(id(x))
        return None if made is None or made.tensor._version != made.version else constant(made.call)

    def run(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a function of no traced tensors returns; how it was made, or what it wrote to, is kept."""
        target: Any = args[0] if args else None
        function = Tensor.detach if function in known.DETACH else function  # `.data` would not count what writes to it
        before = self.find(target)
        result = function(*args, **kwargs)
        if before is not None and target not in self:
            self._written(target, self._made[id(target)], function, args, kwargs)
        else:
            self._note(function, args, kwargs, result)
        return result

    def _written(
        self,
        target: Tensor,
        before: Made,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        """Keep what a constant became that was written in place, as a whole or in part."""
        if overlaps(target):
            return
        call = before.call
        while isinstance(call, Call) and call.function == _CHANGING[Tensor.clone]:  # as what writes makes a copy
            (call,) = call.args
        old, value = target.detach(), target.detach()
        self._made[id(old)] = Made(old, call, old._version, before.calls, before.depth)
        if function is Tensor.__setitem__:
            self._keep(known.WRITTEN, (old, *args[1:]), {}, target)
        elif function in known.FILLS:
            self._keep(known.WRITTEN, (old, ..., known.filling(*args, **kwargs)), {}, target)
        elif function in known.IN_PLACE:
            name, given = known.IN_PLACE[function], (old, *args[1:])
            casts = _dtype_of(BY_NAME[name], given, kwargs) != target.dtype
            self._keep(name, given, kwargs, value if casts else target)
            if casts:
                self._keep("Tensor.to", (value, target.dtype), {}, target)

    def _note(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Keep how a result was made, if that is by known functions of parameters and numbers."""
        if function in _LIKE or function in _NEW:
            return self._keep_like(function, args, kwargs, result)
        name = _MAKING.get(function) or _CHANGING.get(function) or known.NAMES.get(function)
        name = "torch.zeros" if function is torch.empty else name
        if function is torch.meshgrid:
            for axis, part in enumerate(result):
                self._keep("grid", (axis, *args), kwargs, part)
        if name is not None and isinstance(result, Tensor) and not result.is_inference():
            self._keep(name, args, kwargs, result)

    def like(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
        """Numbers of a shape or dtype that a traced tensor has or is asked for; None for any other function."""
        if function not in _LIKE and function not in _NEW:
            return None
        result = function(*args, **{"device": self.device, **kwargs})
        self._keep_like(function, args, kwargs, result)
        return result

    def _keep_like(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor
    ) -> None:
        name = (_LIKE | _NEW)[function]
        shape = () if name == "torch.tensor" else (tuple(result.shape),)
        key = _NUMBERS.get(name)
        numbers = () if key is None else (kwargs[key] if key in kwargs else args[-1],)
        self._keep(name, (*shape, *numbers), {"dtype": result.dtype}, result)

    def cast(self, x: Tensor, result: Tensor) -> None:
        """Keep that `x` was cast."""
        self._keep("Tensor.to", (x, result.dtype), {}, result)

    def forget(self, x: Tensor) -> None:
        """A traced value is written into `x`: neither it nor what shares its memory is made of numbers alone."""
        increment_version(x)  # that of all of them; the numbers stay, as they may be somebody's

    def _keep(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> None:
        if not all(map(self._is_known, pytree.tree_leaves((args, kwargs)))):
            return
        if args and result is args[0]:  # a cast that changes nothing
            return
        parts = [self._made[id(leaf)] for leaf in pytree.tree_leaves((args, kwargs)) if id(leaf) in self._made]
        calls, depth = 1 + sum(part.calls for part in parts), 1 + max((part.depth for part in parts), default=0)
        if calls > _LARGEST or depth > _DEEPEST:
            return
        given = {key: value for key, value in kwargs.items() if key not in _NOT_OF_NUMBERS}
        encoded = tuple((key, frozen(pytree.tree_map(self._encode, value))) for key, value in sorted(given.items()))
        call = Call(name, frozen(pytree.tree_map(self._encode, without_lists(name, args))), encoded)
        self._made[id(result)] = Made(result, call, result._version, calls, depth)

    def _is_known(self, leaf: Any) -> bool:
        """Whether a call can hold an argument: what never changes, and is told by its `repr` from any other."""
        if isinstance(leaf, Tensor):
            return id(leaf) in self.names or leaf in self
        return leaf is None or leaf is Ellipsis or isinstance(leaf, _PLAIN)

    def _encode(self, leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return Param(self.names[id(leaf)]) if id(leaf) in self.names else self._made[id(leaf)].call
        return DTYPE if leaf is self.dtype else leaf


def _dtype_of(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.dtype:
    """That of a function's result, without its numbers."""
    args, kwargs = pytree.tree_map(lambda x: x.to("meta") if isinstance(x, Tensor) else x, (args, kwargs))
    return function(*args, **kwargs).dtype


def frozen(value: Any) -> Any:
    """Lists to tuples, so that a call can be compared and hashed."""
    return tuple(frozen(v) for v in value) if isinstance(value, (list, tuple)) else value


def _count(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """How many numbers a call that makes some makes."""
    return _COUNTS[name](*args, **kwargs) if name in _COUNTS else BY_NAME[name](*args, **kwargs, device="meta").numel()


def without_lists(name: str, args: Sequence[Any]) -> list[Any]:
    """A call's arguments, in an index the tensors that its lists stand for: a tuple there is something else."""

    def of_list(part: Any) -> Any:
        if not isinstance(part, list):
            return part
        return constant(Call("torch.tensor", (frozen(part),)))

    if name not in ("Tensor.__getitem__", known.WRITTEN):
        return list(args)
    x, index, *value = args
    return [x, tuple(map(of_list, index)) if isinstance(index, tuple) else of_list(index), *value]


def tensor_of(
    source: Param | Constant, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Tensor:
    """A parameter, or a constant made in float32 or better, on a device; in `dtype` if it is of floating point."""
    wide, device = torch.promote_types(dtype, torch.float32), torch.device(device)

    def of(param: Param) -> Tensor:
        tensor = tensors[param.name].detach().to(device)
        return tensor.to(wide) if tensor.is_floating_point() else tensor

    result = evaluate(source, of, wide, device)
    return result.to(dtype) if result.is_floating_point() else result


def evaluate(
    value: Any, of: Callable[[Any], Tensor], dtype: torch.dtype, device: torch.device, most: float = inf
) -> Any:
    """What a constant, a call or an argument of one is. of: a parameter's tensor, and a traced value's where a call
    reads such. dtype, device: in which numbers are made that have those of the maps. most: how many a call may make;
    PlanError for one that makes more."""

    def make(part: Any) -> Any:
        return evaluate(part, of, dtype, device, most)

    if isinstance(value, (Param, Ref)):
        return of(value)
    if isinstance(value, Constant):
        return make(value.call)
    if isinstance(value, Call):
        where = {"device": device} if value.function in MAKERS else {}
        args, kwargs = make(value.args), {key: make(part) for key, part in value.kwargs}
        if where and most < inf and (made := _count(value.function, args, kwargs)) > most:
            raise PlanError(f"{value.function} makes {made} numbers, but may make {most} at most")
        return BY_NAME[value.function](*args, **kwargs, **where)
    if isinstance(value, torch.device):
        return device
    if isinstance(value, tuple):
        return tuple(map(make, value))
    return dtype if value is DTYPE else value

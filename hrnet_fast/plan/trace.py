"""Lowering: a live module, written by anyone, to a graph.

The module's own forward runs once on tensors without data, under a mode that sees every torch function. So control
flow, lists of maps and helper functions of any origin resolve by themselves, and only the tensor operations remain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils import _pytree as pytree

from . import functions as known
from .errors import PlanError
from .graph import Call, Convolution, Graph, Node, Norm, Param, Ref, Resize
from .modules import named_tensors, traceable_twin, unwrap
from .shapes import result_without_call


def trace(module: nn.Module, *inputs: Any) -> Graph:
    """Lower `module`, called on `inputs`, in evaluation mode.

    inputs: tensors, or lists and tuples of them; only shapes are read. The module is neither changed nor run on data.
    Raises PlanError, in one sentence, where the module does something that a plan cannot express.
    """
    module = unwrap(module)
    twin = traceable_twin(module)
    leaves, input_tree = pytree.tree_flatten(inputs)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise PlanError(f"inputs must be tensors or lists of them, not {type(leaf).__name__}")
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    recorder = _Recorder(module)
    with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode do not count what writes to them
        data_free = [recorder.add_input(tuple(leaf.shape), dtype) for leaf in leaves]
        try:
            with recorder:
                result = twin(*pytree.tree_unflatten(data_free, input_tree))
            recorder.check_writes()
        except PlanError as error:
            raise PlanError(f"{error} (in {_place(twin, error)})") from error
        except ValueError:  # the network's own sentence
            raise
        except Exception as error:
            raise PlanError(f"{_place(twin, error)} cannot be planned: {_first_line(error)}") from error
    outputs, output_tree = pytree.tree_flatten(result)
    return Graph(
        tuple(recorder.nodes),
        tuple(range(len(leaves))),
        tuple(recorder.value_of(out, "a result") for out in outputs),
        input_tree,
        output_tree,
    )


@dataclass(eq=False)
class _Traced:
    """A tensor without data, the value that it stands for, and all that may share memory with it, if there are others.

    unreadable: why it stands for no value any more.
    """

    tensor: Tensor  # kept, as its id is a name only while it lives
    value: int
    memory: list[_Traced] = field(default_factory=list)
    unreadable: str = ""


class _Recorder(TorchFunctionMode):
    """Answers every torch function with a tensor of the right shape and no data, and writes the node down.

    A value never changes: writing in place makes a new one, for which the written tensor stands from then on. Others
    that may share its memory then stand for nothing. No tensor is really written to.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.nodes: list[Node] = []
        self._named = named_tensors(module)
        self._names = {id(t): name for name, t in self._named.items()}
        self._versions = {name: _version(t) for name, t in self._named.items()}
        self._traced: dict[int, _Traced] = {}

    def add_input(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return self._record("input", (), torch.empty(shape, dtype=dtype, device="meta"))

    def value_of(self, tensor: Any, what: str) -> int:
        if not isinstance(tensor, Tensor):
            raise PlanError(f"{what} is a {type(tensor).__name__}, which a plan cannot express")
        if id(tensor) in self._names:
            raise PlanError(
                f"{what} is the parameter or buffer {self._names[id(tensor)]!r}, which a plan cannot express"
            )
        if id(tensor) not in self._traced:
            raise PlanError(
                f"{what} is a tensor made outside the network, or by operations that the planner does not see, which a "
                f"plan cannot express: make it a parameter or buffer; where it is a weight, {_REMOVE}"
            )
        traced = self._traced[id(tensor)]
        if traced.unreadable:
            raise PlanError(f"{what} {traced.unreadable}")
        return traced.value

    def check_writes(self) -> None:
        """Raise PlanError if anything was written to that the tracer did not see."""
        if any(_version(traced.tensor) for traced in self._traced.values()):
            raise PlanError(
                "something writes into a tensor in place that the planner does not see, such as TorchScript or an "
                "extension: replace it by plain torch functions"
            )
        for name, tensor in self._named.items():
            if _version(tensor) != self._versions[name]:
                raise PlanError(_writes_into(name))

    def _record(self, op: str, inputs: tuple[int, ...], result: Tensor, detail=None) -> Tensor:
        self._stand(result, len(self.nodes))
        self.nodes.append(Node(op, inputs, tuple(result.shape), detail))
        return result

    def _stand(self, tensor: Tensor, value: int) -> Tensor:
        """Let a new tensor stand for a value, in memory of its own."""
        self._traced[id(tensor)] = _Traced(tensor, value)
        return tensor

    def _share(self, result: Tensor, *sources: Any) -> Tensor:
        """A new tensor may share memory with some of these."""
        one = self._traced[id(result)]
        for other in (self._traced[id(source)] for source in sources if id(source) in self._traced):
            if not one.memory or one.memory is not other.memory:
                together = [*(one.memory or [one]), *(other.memory or [other])]
                for traced in together:
                    traced.memory = together
        return result

    def _overwrite(self, target: Tensor, result: Tensor) -> Tensor:
        """After an in-place operation the tensor itself stands for the new value."""
        value = self._traced[id(result)].value
        self.value_of(target, "what is written in place")
        if target.shape != result.shape:
            raise PlanError(f"a tensor of shape {tuple(target.shape)} cannot hold a result of {tuple(result.shape)}")
        written = self._traced[id(target)]
        for other in written.memory:
            other.unreadable = "" if other is written else _STALE
        written.value, written.memory = value, []
        return target

    def _key(self, tensor: Tensor | None, what: str) -> str | None:
        if tensor is None:
            return None
        if id(tensor) not in self._names:
            raise PlanError(f"{what} is computed from other tensors, which a plan cannot express: {_REMOVE}")
        return self._names[id(tensor)]

    def __torch_function__(self, function: Callable, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        leaves = pytree.tree_leaves((args, kwargs))
        if not any(id(leaf) in self._traced for leaf in leaves):
            return self._untraced(function, args, kwargs, leaves)
        if kwargs.pop("out", None) is not None:
            raise PlanError(f"{_name(function)} gets out=, which a plan cannot express: use what it returns instead")
        if function is torch.conv2d:
            return self._conv(*args, **kwargs)
        if function is F.batch_norm:
            return self._norm(*args, **kwargs)
        if function in known.RELU:
            result = self._unary("relu", args[0])
            in_place = function in known.IN_PLACE or kwargs.get("inplace", args[1:2] == (True,))
            return self._overwrite(args[0], result) if in_place else result
        if function in known.ADD and kwargs.get("alpha", 1) == 1 and len(args) == 2:
            result = self._add(*args)
            return self._overwrite(args[0], result) if function in known.IN_PLACE else result
        if function in known.CLONE:
            return self._alias(args[0])
        if function in known.DETACH:
            return self._share(self._alias(args[0]), args[0])
        if function in known.INTERPOLATE:
            return self._interpolate(*args, **kwargs)
        if function in known.CONCAT:
            return self._concat(*args, **kwargs)
        if function in known.DROPOUT:
            return self._dropout(function, *args, **kwargs)
        if function in known.NAMES:
            return self._call(known.NAMES[function], args, kwargs)
        return self._answer(function, args, kwargs)

    def _untraced(self, function: Callable, args, kwargs, leaves: list):
        """What concerns no value of the plan runs as it is, but for writes into the user's module."""
        if known.writes(function) or kwargs.get("out") is not None:
            for leaf in leaves:
                if id(leaf) in self._names:
                    raise PlanError(_writes_into(self._names[id(leaf)]))
        return function(*args, **kwargs)

    def _unary(self, op: str, x: Tensor, detail=None, shape=None) -> Tensor:
        result = x.new_empty(tuple(x.shape) if shape is None else shape)
        return self._record(op, (self.value_of(x, f"the input of {op}"),), result, detail)

    def _conv(self, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
        name = self._key(weight, "a convolution's weight")
        if isinstance(padding, str):
            if padding != "valid":
                raise PlanError(f"{name}: padding={padding!r} cannot be planned; use a number")
            padding = 0
        stride, padding, dilation = (_pair(v) for v in (stride, padding, dilation))
        kernel = tuple(weight.shape[2:])
        if input.dim() != 4 or input.shape[1] != weight.shape[1] * groups:
            raise PlanError(
                f"{name} expects maps of shape (N, {weight.shape[1] * groups}, H, W), but gets {tuple(input.shape)}"
            )
        size = [
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, k, s, p, d in zip(input.shape[2:], kernel, stride, padding, dilation)
        ]
        if min(size) < 1:
            raise PlanError(f"{name} gets a map of {tuple(input.shape[2:])}: the input is too small for this network")
        detail = Convolution(name, self._key(bias, f"{name}'s bias"), kernel, stride, padding, dilation, groups)
        return self._unary("conv", input, detail, (input.shape[0], weight.shape[0], *size))

    def _norm(
        self, input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5, *_
    ) -> Tensor:
        if running_mean is None:
            raise PlanError("a batch norm without running statistics cannot be planned")
        if training:
            raise PlanError(f"batch_norm {_TRAINING}")
        keys = (self._key(t, "a batch norm's tensor") for t in (weight, bias, running_mean, running_var))
        return self._unary("norm", input, Norm(*keys, eps))

    def _dropout(self, function: Callable, *args, **kwargs) -> Tensor:
        """What dropout does while a network is not trained: nothing."""
        given = signature(function).bind(*args, **kwargs)
        given.apply_defaults()
        if given.arguments["training"]:
            raise PlanError(f"{function.__name__} {_TRAINING}")
        x = given.arguments["input"]
        return self._share(self._alias(x), x)

    def _add(self, a: Tensor, b: Tensor) -> Tensor:
        if isinstance(b, (int, float)) and b == 0:  # `sum()` and `y = 0; y += x` begin so
            return self._alias(a)
        values = tuple(self.value_of(t, "a summand") for t in (a, b))
        if a.shape != b.shape:
            raise PlanError(
                f"two maps to be added have sizes {tuple(a.shape)} and {tuple(b.shape)}: "
                "a network that fuses by fixed up-sampling factors needs an input of a suitable multiple, usually 32"
            )
        return self._record("add", values, a.new_empty(a.shape))

    def _alias(self, x: Tensor) -> Tensor:
        """Another tensor of the same value, which may go its own way later."""
        return self._stand(x.new_empty(x.shape), self.value_of(x, "a copy"))

    def _interpolate(
        self, input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
        antialias=False,
    ) -> Tensor:  # fmt: skip
        if mode not in ("nearest", "bilinear") or antialias:
            raise PlanError(f"interpolation with mode={mode!r}, antialias={antialias} cannot be planned")
        if size is None:
            factors = _pair(scale_factor)
            size = [int(side * factor) for side, factor in zip(input.shape[2:], factors)]
            if any(side * factor != new for side, factor, new in zip(input.shape[2:], factors, size)):
                raise PlanError(f"interpolation of {tuple(input.shape[2:])} by {factors} does not give a whole size")
        detail = Resize(_pair(size), mode, bool(align_corners))
        return self._unary("resize", input, detail, (*input.shape[:2], *detail.size))

    def _concat(self, tensors, dim=0) -> Tensor:
        if any(t.dim() != 4 for t in tensors) or dim not in (1, -3):
            return self._call("torch.cat", (tuple(tensors), dim), {})
        values = tuple(self.value_of(t, "a part of a concatenation") for t in tensors)
        n, _, h, w = tensors[0].shape
        if any((t.shape[0], *t.shape[2:]) != (n, h, w) for t in tensors):
            raise PlanError(f"maps of shapes {[tuple(t.shape) for t in tensors]} cannot be concatenated")
        return self._record("concat", values, tensors[0].new_empty((n, sum(t.shape[1] for t in tensors), h, w)))

    def _call(self, name: str, args, kwargs) -> Tensor:
        inputs: list[int] = []

        def encode(leaf):
            if not isinstance(leaf, Tensor):
                return leaf
            if id(leaf) in self._names:
                return Param(self._names[id(leaf)])
            inputs.append(self.value_of(leaf, f"an argument of {name}"))
            return Ref(inputs[-1])

        def data_free(leaf):
            return leaf.new_empty(leaf.shape, device="meta") if isinstance(leaf, Tensor) else leaf

        detail = Call(
            name,
            _freeze(pytree.tree_map(encode, list(args))),
            tuple(sorted((key, _freeze(pytree.tree_map(encode, value))) for key, value in kwargs.items())),
        )
        result = result_without_call(name, args, kwargs)
        if result is None:
            result = known.PURE_FUNCTIONS[name](*pytree.tree_map(data_free, args), **pytree.tree_map(data_free, kwargs))
        if not isinstance(result, Tensor):
            raise PlanError(f"{name} returns several tensors, which a plan cannot express")
        self._record("call", tuple(inputs), result, detail)
        return result if name in known.COMPUTING else self._share(result, *pytree.tree_leaves((args, kwargs)))

    def _answer(self, function: Callable, args, kwargs):
        """Questions about shape, dtype and device are answered; any other function of a value is refused."""
        if function in known.QUESTIONS or getattr(function, "__name__", "") == "__get__":
            result = function(*args, **kwargs)
            if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result)):
                return result
        why = f": {known.WHY_NOT[function]}" if function in known.WHY_NOT else ""
        raise PlanError(f"the operation {_name(function)} is not understood by the planner{why}")


_REMOVE = (
    "remove the parametrization (torch.nn.utils.parametrize.remove_parametrizations), pruning or weight norm first"
)
_TRAINING = "asks for training=True, but a plan is of a network in evaluation mode: pass training=self.training"
_STALE = (
    "shares memory with a tensor that was written in place, which a plan cannot express: write into a clone() of it"
)


def _writes_into(name: str) -> str:
    return f"the network writes into its own {name!r} when it is called, which a plan cannot express"


def _version(tensor: Tensor) -> int:
    """How often a tensor was written in place; tensors of inference mode do not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _name(function: Callable) -> str:
    return resolve_name(function) or getattr(function, "__name__", repr(function))


def _place(root: nn.Module, error: Exception) -> str:
    """Where an error comes from: the innermost module whose method was at work."""
    names = {id(module): name for name, module in root.named_modules()}
    found, trace = root, error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_locals.get("self")
        found = module if id(module) in names else found
        trace = trace.tb_next
    name = names[id(found)]
    return f"{type(found).__name__}.forward" + (f" of {name!r}" if name else "")


def _pair(value) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def _freeze(value):
    """Lists to tuples, so that a call can be compared and hashed."""
    return tuple(_freeze(v) for v in value) if isinstance(value, (list, tuple)) else value


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

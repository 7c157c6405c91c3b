"""Lowering: a live module, written by anyone, to a graph.

The module's own forward runs once on tensors without data, under a mode that sees every torch function. So control
flow, lists of maps and helper functions of any origin resolve by themselves, and only the tensor operations remain.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from numbers import Number
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from . import functions as known
from .arguments import check_channels, check_length, fills, is_basic, name_of, pair, whole_size
from .constants import frozen, without_lists
from .errors import PlanError
from .failure import what, where
from .graph import Call, Convolution, Graph, Norm, Param, Ref, Resize
from .modules import traceable_twin, unwrap
from .several import Several
from .shapes import broadcast, result_without_call
from .transposed import SHUFFLE, ordinary
from .values import REMOVE, writes_into


def trace(module: nn.Module, *inputs: Any) -> Graph:
    """Lower `module`, called on `inputs`, in evaluation mode.

    inputs: tensors or None, or lists and tuples of them; only shapes are read. The module is neither changed nor run on
    data.
    Raises PlanError, in one sentence, where the module does something that a plan cannot express.
    """
    module = unwrap(module)
    twin = traceable_twin(module)
    leaves, input_tree = pytree.tree_flatten(_without_none(inputs))
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise PlanError(f"inputs must be tensors or lists of them, not {type(leaf).__name__}")
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    recorder = _Recorder(module, dtype)
    with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode do not count what writes to them
        data_free = [recorder.add_input(tuple(leaf.shape)) for leaf in leaves]
        try:
            with recorder:
                result = twin(*pytree.tree_unflatten(data_free, input_tree))
            recorder.check_writes()
        except PlanError as error:
            raise PlanError(f"{what(error)} (in {where(twin, error)})") from error
        except ValueError:  # the network's own sentence
            raise
        except Exception as error:
            raise PlanError(f"{where(twin, error)} cannot be planned: {what(error)}") from error
    outputs, output_tree = pytree.tree_flatten(_without_none(result))
    return Graph(
        tuple(recorder.nodes),
        tuple(range(len(leaves))),
        tuple(recorder.value_of(out, "a result") for out in outputs),
        output_tree,
    )


_EVALUATION = "but a plan is of a network in evaluation mode: pass"
_TRAINING = f"asks for training=True, {_EVALUATION} training=self.training"


class _Nothing:
    """Stands for None among inputs and results: nothing to the plan, and None again where they are nested."""


pytree.register_pytree_node(_Nothing, lambda _: ([], None), lambda leaves, context: None)


def _without_none(nested: Any) -> Any:
    return pytree.tree_map(lambda x: _Nothing() if x is None else x, nested)


class _Recorder(Several, TorchFunctionMode):
    """Answers every torch function with a tensor of the right shape and no data, and writes the node down."""

    def _key(self, tensor: Tensor | None, what: str) -> str | None:
        if tensor is None:
            return None
        if id(tensor) not in self.names:
            raise PlanError(f"{what} is computed from other tensors, which a plan cannot express: {REMOVE}")
        return self.names[id(tensor)]

    def __torch_function__(self, function: Callable, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        if function is F.embedding and any((*args[3:4], kwargs.get("max_norm"))):
            raise PlanError("embedding gets max_norm, by which it writes into its weight, which a plan cannot express")
        leaves = pytree.tree_leaves((args, kwargs))
        if not any(id(leaf) in self.traced for leaf in leaves):
            return self._untraced(function, args, kwargs)
        if kwargs.pop("out", None) is not None:
            raise PlanError(f"{name_of(function)} gets out=, which a plan cannot express: use what it returns instead")
        if function is torch.conv2d:
            return self._conv(*args, **kwargs)
        if function is torch.conv_transpose2d:
            return self._conv_transpose(*args, **kwargs)
        if function is F.batch_norm:
            return self._norm(*args, **kwargs)
        if function in known.RELU or function in known.RELU_IN_PLACE:
            result = self._unary("relu", args[0])
            in_place = function in known.RELU_IN_PLACE or kwargs.get("inplace", args[1:2] == (True,))
            return self.overwrite(args[0], result) if in_place else result
        if function in known.CLONE:
            return self._alias(args[0])
        if function in known.DETACH:
            return self.share(self._alias(args[0]), args[0])
        if function in known.CASTS or (function is Tensor.type and args[1:]):
            return self._cast(function, args, kwargs)
        if function in known.INTERPOLATE:
            return self._interpolate(*args, **kwargs)
        if function in known.CONCAT:
            return self._concat(*args, **kwargs)
        if function in known.DROPOUT:
            return self._dropout(function, *args, **kwargs)
        if function is F.instance_norm:
            return self._instance_norm(*args, **kwargs)
        if function is F.multi_head_attention_forward:
            return self._attention(*args, **kwargs)
        if function is F.scaled_dot_product_attention and any((*args[4:5], kwargs.get("dropout_p"))):
            raise PlanError(f"scaled_dot_product_attention gets dropout_p, {_EVALUATION} 0 unless self.training")
        if function in known.CHUNK:
            return self.chunk(*args, **kwargs)
        if function in known.SPLIT:
            return self.split(*args, **kwargs)
        if function in known.UNBIND:
            return self.unbind(*args, **kwargs)
        if function in known.EXTREMES:
            return self.extreme(known.EXTREMES[function], *args, **kwargs)
        if function in known.ORDERED:
            return self.ordered(known.ORDERED[function], *args, **kwargs)
        if function in known.PAIRS:
            return self.pair(known.PAIRS[function], *args, **kwargs)
        if function in known.COMPARISONS and not isinstance(args[1], (Tensor, Number)):  # as `mask != None`
            return NotImplemented
        if function in known.IN_PLACE:
            return self.overwrite(args[0], self._compute(known.IN_PLACE[function], args, kwargs))
        if function in known.MAY_BE_IN_PLACE:
            given = signature(function).bind(*args, **kwargs)
            in_place = given.arguments.pop("inplace", False)
            result = self._call(known.NAMES[function], given.args, given.kwargs)
            return self.overwrite(args[0], result) if in_place else result
        if function is Tensor.__setitem__ and (is_basic(args[1]) or fills(*args)):
            return self._set(*args)
        if function in known.FILLS:
            self._set(args[0], ..., known.filling(*args, **kwargs))
            return args[0]
        if getattr(function, "_qualified_op_name", "") == "torchvision::deform_conv2d":
            return self._call(known.DEFORM, args, kwargs)
        if (numbers := self.constants.like(function, args, kwargs)) is not None:
            return numbers
        if function in known.NAMES:
            return self._compute(known.NAMES[function], args, kwargs)
        return self._answer(function, args, kwargs)

    def _untraced(self, function: Callable, args, kwargs):
        """What concerns no value of the plan runs as it is, but for writes into the user's module."""
        out = kwargs.get("out")
        written = (args[:1] or kwargs) if known.writes(function) and out is None else out
        for leaf in pytree.tree_leaves(written):
            if isinstance(leaf, Tensor) and (name := self.owner(leaf)):
                raise PlanError(writes_into(name))
        return self.constants.run(function, args, kwargs)

    def _is_fixed(self, x: Any) -> bool:
        """Whether a tensor is none of the plan's values: a parameter, or made of parameters and numbers."""
        return id(x) in self.names or x in self.constants

    def _is_map(self, x: Any) -> bool:
        """Whether something is a value of the maps' dtype, which items other than calls may read."""
        return isinstance(x, Tensor) and x.dtype == self.dtype and not (self._is_fixed(x) or self.has_own_dtype(x))

    def _unary(self, op: str, x: Tensor, detail=None, shape=None) -> Tensor:
        if x.dtype != self.dtype:
            raise PlanError(f"the input of {op} is of {x.dtype}, but must be of {self.dtype}: convert it first")
        value = self.value_of(self.as_map(x), f"the input of {op}")
        return self.record(op, (value,), self.empty(x.shape if shape is None else shape), detail)

    def _conv(self, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
        if any(id(t) in self.traced or t in self.constants for t in (weight, bias)):  # weights that are computed
            return self._call("functional.conv2d", (input, weight, bias, stride, padding, dilation, groups), {})
        name = self._key(weight, "a convolution's weight")
        if isinstance(padding, str):
            total = [d * (k - 1) * (padding == "same") for d, k in zip(pair(dilation), weight.shape[2:])]
            padding = tuple(side // 2 for side in total)
            if any(side % 2 for side in total):  # torch pads one pixel more at the right and the bottom
                more = (0, total[1] % 2, 0, total[0] % 2)
                input = self._call("functional.pad", (input, more), {"mode": "constant", "value": None})
        stride, padding, dilation = (pair(v) for v in (stride, padding, dilation))
        kernel = tuple(weight.shape[2:])
        check_channels(name, input, weight.shape[1] * groups)
        check_length(f"{name}'s bias", bias, weight.shape[0])
        size = [
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, k, s, p, d in zip(input.shape[2:], kernel, stride, padding, dilation)
        ]
        if min(size) < 1:
            raise PlanError(f"{name} gets a map of {tuple(input.shape[2:])}: the input is too small for this network")
        detail = Convolution(name, self._key(bias, f"{name}'s bias"), kernel, stride, padding, dilation, groups)
        return self._unary("conv", input, detail, (input.shape[0], weight.shape[0], *size))

    def _conv_transpose(
        self, input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
    ) -> Tensor:
        name = self._key(weight, "a transposed convolution's weight")
        check_channels(name, input, weight.shape[0])
        check_length(f"{name}'s bias", bias, weight.shape[1] * groups)
        pairs = tuple(pair(v) for v in (stride, padding, output_padding, dilation))
        conv = ordinary(name, self._key(bias, f"{name}'s bias"), tuple(weight.shape[2:]), *pairs, groups)
        if conv is None:
            given = (input, weight, bias, *pairs[:3], groups, pairs[3])
            return self._call("functional.conv_transpose2d", given, {})
        s = conv.transposed.stride
        n, _, h, w = input.shape
        together = self._unary("conv", input, conv, (n, weight.shape[1] * s * s, h, w))
        return self._call(SHUFFLE, (together, s), {}) if s > 1 else together

    def _norm(
        self, input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5, *_
    ) -> Tensor:
        if running_mean is None:
            raise PlanError("a batch norm without running statistics cannot be planned")
        if training:
            raise PlanError(f"batch_norm {_TRAINING}")
        tensors = (weight, bias, running_mean, running_var)
        keys = [self._key(tensor, "a batch norm's tensor") for tensor in tensors]
        for key, tensor in zip(keys, tensors):
            check_length(key, tensor, input.shape[1])
        return self._unary("norm", input, Norm(*keys, eps))

    def _instance_norm(
        self, input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1,
        eps=1e-5,
    ) -> Tensor:  # fmt: skip
        if running_mean is None:
            return self._call("functional.instance_norm", (input, None, None, weight, bias, True, momentum, eps), {})
        if use_input_stats:
            raise PlanError(f"instance_norm writes its running statistics, {_EVALUATION} use_input_stats=self.training")
        return self._norm(input, running_mean, running_var, weight, bias, eps=eps)

    def _dropout(self, function: Callable, *args, **kwargs) -> Tensor:
        """What dropout does while a network is not trained: nothing."""
        given = signature(function).bind(*args, **kwargs)
        given.apply_defaults()
        if given.arguments["training"]:
            raise PlanError(f"{function.__name__} {_TRAINING}")
        x = given.arguments["input"]
        return self.share(self._alias(x), x)

    def _attention(self, *args, **kwargs) -> tuple[Tensor, Tensor | None]:
        """Attention's result, and its weights where they are asked for."""
        given = signature(F.multi_head_attention_forward).bind(*args, **kwargs)
        given.apply_defaults()
        given = given.arguments
        if given["training"] and given["dropout_p"]:
            raise PlanError(f"multi_head_attention_forward {_TRAINING}")
        weights = given.pop("need_weights")
        result = self._call(known.ATTENTION, (), given)
        return result, self._call(known.ATTENTION_WEIGHTS, (), given) if weights else None

    def _compute(self, name: str, args, kwargs) -> Tensor:
        return (
            self._add(*args)
            if name == "torch.add" and len(args) == 2 and not kwargs
            else self._call(name, args, kwargs)
        )

    def _add(self, a: Any, b: Any) -> Tensor:
        if isinstance(b, (int, float)) and b == 0 and a.is_floating_point():  # `sum()` and `y = 0; y += x` begin so
            return self._alias(a)
        if not all(self._is_map(t) for t in (a, b)):
            return self._call("torch.add", (a, b), {})
        values = tuple(self.value_of(t, "a summand") for t in (a, b))
        if a.shape == b.shape:
            return self.record("add", values, self.empty(a.shape))
        if broadcast(a.shape, b.shape) is None:
            raise PlanError(
                f"two maps to be added have sizes {tuple(a.shape)} and {tuple(b.shape)}: "
                "a network that fuses by fixed up-sampling factors needs an input of a suitable multiple, usually 32"
            )
        return self._call("torch.add", (a, b), {})

    def _alias(self, x: Tensor) -> Tensor:
        """Another tensor of the same value, which may go its own way later."""
        return self.stand(self.empty(x.shape, x.dtype), self.value_of(x, "a copy"))

    def _cast(self, function: Callable, args, kwargs) -> Tensor:
        """A cast of a constant, or of a value where it lies; a map stays in the maps' dtype, or is none any more."""
        x, like = args[0], pytree.tree_map(self.stand_in, (args, kwargs))
        result = function(*like[0], **like[1])
        if self._is_fixed(x):
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
            return self._call(known.CAST, (x, result.dtype), {})
        return self.share(self._alias(x), x)

    def _check_dtype(self, name: str, result: Tensor) -> None:
        if result.dtype != self.dtype and (result.is_floating_point() or result.is_complex()):
            raise PlanError(f"{name} gives {result.dtype}, but a plan's floating-point numbers are all in {self.dtype}")

    def _set(self, target: Tensor, index: Any, value: Any) -> None:
        """target[index] = value, unless `value` is that part already, which `target[index] += x` gives back."""
        self.check_parts(target)
        if not is_basic(index):
            self.overwrite(target, self._call("torch.masked_fill", (target, index, value), {}))
            return
        part = self.traced.get(id(value))
        if part is None or part.unreadable or part.part_of != (self.traced.get(id(target)), index):
            self.overwrite(target, self._call(known.WRITTEN, (target, index, value), {}))

    def _interpolate(
        self, input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
        antialias=False,
    ) -> Tensor:  # fmt: skip
        whole = whole_size(input, size, scale_factor)
        if mode in ("nearest", "bilinear") and whole and not antialias:
            detail = Resize(whole, mode, bool(align_corners))
            return self._unary("resize", input, detail, (*input.shape[:2], *whole))
        given = {"size": size, "scale_factor": scale_factor, "mode": mode, "align_corners": align_corners,
                 "recompute_scale_factor": recompute_scale_factor, "antialias": antialias}  # fmt: skip
        return self._call("functional.interpolate", (input,), {k: v for k, v in given.items() if v is not None})

    def _concat(self, tensors, dim=0) -> Tensor:
        if any(t.dim() != 4 or not self._is_map(t) for t in tensors) or dim not in (1, -3):
            return self._call("torch.cat", (tuple(tensors), dim), {})
        values = tuple(self.value_of(t, "a part of a concatenation") for t in tensors)
        n, _, h, w = tensors[0].shape
        if any((t.shape[0], *t.shape[2:]) != (n, h, w) for t in tensors):
            raise PlanError(f"maps of shapes {[tuple(t.shape) for t in tensors]} cannot be concatenated")
        return self.record("concat", values, self.empty((n, sum(t.shape[1] for t in tensors), h, w)))

    def _call(self, name: str, args, kwargs) -> Tensor:
        inputs: list[int] = []
        leaves = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        with_maps = any(leaf.is_floating_point() and not self.has_own_dtype(leaf) for leaf in leaves)

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

        def data_free(leaf):
            return leaf.new_empty(leaf.shape, device="meta") if isinstance(leaf, Tensor) else leaf

        detail = Call(
            name,
            frozen(pytree.tree_map(encode, without_lists(name, args))),
            tuple(sorted((key, frozen(pytree.tree_map(encode, value))) for key, value in kwargs.items())),
        )
        result = result_without_call(name, args, kwargs)
        if result is None:
            try:
                without_data = pytree.tree_map(data_free, (args, kwargs))
                result = known.PURE_FUNCTIONS[name](*without_data[0], **without_data[1])
            except RuntimeError as error:
                if not (isinstance(error, NotImplementedError) or "on meta tensors" in str(error)):
                    raise
                raise PlanError(f"the operation {name} cannot be planned: {known.BY_NUMBERS}") from error
        if not isinstance(result, Tensor):
            raise PlanError(f"{name} returns several tensors, which a plan cannot express")
        if with_maps:
            self._check_dtype(name, result)
        if name == "Tensor.view" and result.dtype != args[0].dtype:
            raise PlanError(f"{name} reads {args[0].dtype} as {result.dtype}, which a plan cannot express")
        own = None if with_maps and result.is_floating_point() else result.dtype
        self.record("call", tuple(inputs), result, detail, own)
        if name in known.COMPUTING and (name != "torch.einsum" or len(args) > 2):  # of one map, it may be a view
            return result
        if name == "Tensor.__getitem__" and is_basic(args[1]):
            self.traced[id(result)].part_of = self.traced[id(args[0])], args[1]
        self.share(result, *pytree.tree_leaves((args, kwargs)))
        if name == "Tensor.contiguous":  # what repeats was copied
            self.traced[id(result)].repeats = False
        return result

    def _answer(self, function: Callable, args, kwargs):
        """Questions about shape, dtype and device are answered; any other function of a value is refused."""
        if function in known.WHERE:
            args, kwargs = pytree.tree_map(self.stand_in, (args, kwargs))
        if function in known.QUESTIONS or function in known.WHERE:
            result = function(*args, **kwargs)
            if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result)):
                return result
        why = f": {known.WHY_NOT[function]}" if function in known.WHY_NOT else ""
        raise PlanError(f"the operation {name_of(function)} is not understood by the planner{why}")

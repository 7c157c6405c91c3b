"""The layers that a plan knows by name: convolutions, norms, ReLU, sums, resizes and concatenations of maps."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, overload

import torch.nn.functional as F
from torch import Tensor

from ..errors import PlanError
from ..graph import Convolution, Norm, Resize
from ..transposed import SHUFFLE, ordinary
from . import functions as known
from .arguments import check_channels, check_length, pair, whole_size
from .several import Several
from .shapes import broadcast
from .values import REMOVE

_EVALUATION = "but a plan is of a network in evaluation mode: pass"
_TRAINING = f"asks for training=True, {_EVALUATION} training=self.training"


class Layers(Several):
    """Takes torch's arguments of a layer, and writes it down; as a call, where no item of a plan is like it."""

    def conv(self, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
        if self.computed(weight, bias):
            return self.call("functional.conv2d", (input, weight, bias, stride, padding, dilation, groups), {})
        name = self.key_of(weight, "a convolution's weight")
        if isinstance(padding, str):
            total = [d * (k - 1) * (padding == "same") for d, k in zip(pair(dilation), weight.shape[2:])]
            padding = tuple(side // 2 for side in total)
            if any(side % 2 for side in total):  # torch pads one pixel more at the right and the bottom
                more = (0, total[1] % 2, 0, total[0] % 2)
                input = self.call("functional.pad", (input, more), {"mode": "constant", "value": None})
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
        detail = Convolution(name, self.key_of(bias, f"{name}'s bias"), kernel, stride, padding, dilation, groups)
        return self._unary("conv", input, detail, (input.shape[0], weight.shape[0], *size))

    def conv_transpose(
        self, input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
    ) -> Tensor:
        if self.computed(weight, bias):
            given = (input, weight, bias, stride, padding, output_padding, groups, dilation)
            return self.call("functional.conv_transpose2d", given, {})
        name = self.key_of(weight, "a transposed convolution's weight")
        check_channels(name, input, weight.shape[0])
        check_length(f"{name}'s bias", bias, weight.shape[1] * groups)
        stride, padding, output_padding, dilation = map(pair, (stride, padding, output_padding, dilation))
        bias_key, kernel = self.key_of(bias, f"{name}'s bias"), tuple(weight.shape[2:])
        conv = ordinary(name, bias_key, kernel, stride, padding, output_padding, dilation, groups)
        if conv is None or conv.transposed is None:
            given = (input, weight, bias, stride, padding, output_padding, groups, dilation)
            return self.call("functional.conv_transpose2d", given, {})
        s = conv.transposed.stride
        n, _, h, w = input.shape
        together = self._unary("conv", input, conv, (n, weight.shape[1] * s * s, h, w))
        return self.call(SHUFFLE, (together, s), {}) if s > 1 else together

    def norm(
        self, input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5, *_
    ) -> Tensor:
        if running_mean is None:
            raise PlanError("a batch norm without running statistics cannot be planned")
        if training:
            raise PlanError(f"batch_norm {_TRAINING}")
        tensors = (weight, bias, running_mean, running_var)
        if self.computed(*tensors):
            given = (input, running_mean, running_var, weight, bias, False, momentum, eps)
            return self.call("functional.batch_norm", given, {})
        keys = [self.key_of(tensor, "a batch norm's tensor") for tensor in tensors]
        for key, tensor in zip(keys, tensors):
            check_length(key, tensor, input.shape[1])
        scale, shift, mean, var = keys
        return self._unary("norm", input, Norm(scale, shift, mean, var, eps))

    def instance_norm(
        self, input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1,
        eps=1e-5,
    ) -> Tensor:  # fmt: skip
        if running_mean is None:
            return self.call("functional.instance_norm", (input, None, None, weight, bias, True, momentum, eps), {})
        if use_input_stats:
            raise PlanError(f"instance_norm writes its running statistics, {_EVALUATION} use_input_stats=self.training")
        return self.norm(input, running_mean, running_var, weight, bias, eps=eps)

    def relu(self, input, inplace=False) -> Tensor:
        result = self._unary("relu", input)
        return self.overwrite(input, result) if inplace else result

    def relu_(self, input) -> Tensor:
        return self.relu(input, inplace=True)

    def interpolate(
        self, input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
        antialias=False,
    ) -> Tensor:  # fmt: skip
        whole = whole_size(input, size, scale_factor)
        if mode in ("nearest", "bilinear") and whole and not antialias:
            detail = Resize(whole, mode, bool(align_corners))
            return self._unary("resize", input, detail, (*input.shape[:2], *whole))
        given = {"size": size, "scale_factor": scale_factor, "mode": mode, "align_corners": align_corners,
                 "recompute_scale_factor": recompute_scale_factor, "antialias": antialias}  # fmt: skip
        return self.call("functional.interpolate", (input,), {k: v for k, v in given.items() if v is not None})

    def concat(self, tensors, dim=0) -> Tensor:
        if any(t.dim() != 4 or not self.is_map(t) for t in tensors) or dim not in (1, -3):
            return self.call("torch.cat", (tuple(tensors), dim), {})
        values = tuple(self.value_of(t, "a part of a concatenation") for t in tensors)
        n, _, h, w = tensors[0].shape
        if any((t.shape[0], *t.shape[2:]) != (n, h, w) for t in tensors):
            raise PlanError(f"maps of shapes {[tuple(t.shape) for t in tensors]} cannot be concatenated")
        return self.record("concat", values, self.empty((n, sum(t.shape[1] for t in tensors), h, w)))

    def add(self, a: Any, b: Any) -> Tensor:
        if isinstance(b, (int, float)) and b == 0 and a.is_floating_point():  # `sum()` and `y = 0; y += x` begin so
            return self.alias(a)
        if not all(self.is_map(t) for t in (a, b)):
            return self.call("torch.add", (a, b), {})
        values = tuple(self.value_of(t, "a summand") for t in (a, b))
        if a.shape == b.shape:
            return self.record("add", values, self.empty(a.shape))
        if broadcast(a.shape, b.shape) is None:
            raise PlanError(
                f"two maps to be added have sizes {tuple(a.shape)} and {tuple(b.shape)}: "
                "a network that fuses by fixed up-sampling factors needs an input of a suitable multiple, usually 32"
            )
        return self.call("torch.add", (a, b), {})

    def dropout(self, function: Callable[..., Any], *args, **kwargs) -> Tensor:
        """What dropout does while a network is not trained: nothing."""
        given = signature(function).bind(*args, **kwargs)
        given.apply_defaults()
        if given.arguments["training"]:
            raise PlanError(f"{function.__name__} {_TRAINING}")
        x = given.arguments["input"]
        return self.share(self.alias(x), x)

    def attention(self, *args, **kwargs) -> tuple[Tensor, Tensor | None]:
        """Attention's result, and its weights where they are asked for."""
        bound = signature(F.multi_head_attention_forward).bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        if given["training"] and given["dropout_p"]:
            raise PlanError(f"multi_head_attention_forward {_TRAINING}")
        weights = given.pop("need_weights")
        result = self.call(known.ATTENTION, (), given)
        return result, self.call(known.ATTENTION_WEIGHTS, (), given) if weights else None

    def scaled_dot_product_attention(self, *args, **kwargs) -> Tensor:
        if any((*args[4:5], kwargs.get("dropout_p"))):
            raise PlanError(f"scaled_dot_product_attention gets dropout_p, {_EVALUATION} 0 unless self.training")
        return self.call("functional.scaled_dot_product_attention", args, kwargs)

    def _unary(self, op: str, x: Tensor, detail=None, shape=None) -> Tensor:
        if x.dtype != self.dtype:
            raise PlanError(f"the input of {op} is of {x.dtype}, but must be of {self.dtype}: convert it first")
        value = self.value_of(self.as_map(x), f"the input of {op}")
        return self.record(op, (value,), self.empty(x.shape if shape is None else shape), detail)

    def computed(self, *tensors: Tensor | None) -> bool:
        """Whether some of a layer's tensors are computed by the network itself, as a call may read them."""
        return any(id(tensor) in self.traced or tensor in self.constants for tensor in tensors)

    @overload
    def key_of(self, tensor: None, what: str) -> None: ...

    @overload
    def key_of(self, tensor: Tensor, what: str) -> str: ...

    def key_of(self, tensor: Tensor | None, what: str) -> str | None:
        if tensor is None:
            return None
        if id(tensor) not in self.names:
            raise PlanError(f"{what} is computed from other tensors, which a plan cannot express: {REMOVE}")
        return self.names[id(tensor)]

"""What the native kernels play: of functions a classifier's mean and linear layer, and the shuffle of pixels."""

from __future__ import annotations

from math import prod

from ...plan import Conv, Function, Item, Param, Plan, Ref, Term
from ...plan.graph import Convolution
from ...plan.transposed import SHUFFLE

RESHAPES = {"flatten", "view", "reshape", "squeeze"}  # views that keep the elements in order


def unsupported_item(item: Item, plan: Plan, functions: bool) -> str | None:
    """Why the native kernels do not play an item, or None. functions: whether they know any."""
    if isinstance(item, Function):
        known = functions and function_kernel(item, plan) is not None
        return None if known else f"{item.name} is no function that the native kernels know"
    if isinstance(item, Conv) and item.conv.groups != 1:
        return f"{item.name} is grouped"
    if isinstance(item, Conv) and max(item.conv.padding) > 1:
        return f"{item.name} pads by more than one pixel"
    maps = all(len(plan.values[v].shape) == 4 for v in (*item.reads, item.out))
    return None if maps else f"{item.name} is not of maps"


def mean_source(item: Item, plan: Plan) -> int | None:
    """The map (N, C, H, W) whose means over H and W an item is, as (N, C) or (N, C, 1, 1); None for any other item."""
    if not isinstance(item, Function) or len(item.reads) != 1:
        return None
    if any(view.function.rpartition(".")[2] not in RESHAPES for view in item.calls[1:]):
        return None
    source, call = item.reads[0], item.calls[0]
    shape, out = plan.values[source].shape, plan.values[item.out].shape
    if len(shape) != 4 or len(out) not in (2, 4) or out[:2] != shape[:2] or prod(out) != prod(shape[:2]):
        return None
    if call.args[:1] != (Ref(source),):
        return None
    rest, named = call.args[1:], dict(call.kwargs)
    if item.name in ("Tensor.mean", "torch.mean"):
        named.pop("keepdim", None)
        axes = rest[0] if rest else named.pop("dim", None)
        whole = isinstance(axes, (tuple, list)) and {axis % 4 for axis in axes} == {2, 3} and not named
        return source if whole and len(rest) < 3 else None
    if item.name == "functional.adaptive_avg_pool2d":
        return source  # to one pixel, by the result's shape
    if item.name == "functional.avg_pool2d":
        size = rest[0] if rest else named.pop("kernel_size", None)
        return source if size in (shape[2:], [*shape[2:]]) and len(rest) < 2 and not named else None
    return None


def linear_as_conv(item: Item, plan: Plan) -> Conv | None:
    """A linear layer of (N, C) as the 1x1 convolution that it is; None for any other item."""
    if not isinstance(item, Function) or item.name != "functional.linear" or len(item.calls) != 1:
        return None
    if len(item.reads) != 1 or len(plan.values[item.reads[0]].shape) != 2:
        return None
    named = dict(zip(("input", "weight", "bias"), item.calls[0].args)) | dict(item.calls[0].kwargs)
    weight, bias = named.get("weight"), named.get("bias")
    if named.get("input") != Ref(item.reads[0]) or not isinstance(weight, Param):
        return None
    if bias is not None and not isinstance(bias, Param):
        return None
    one = (1, 1)
    conv = Convolution(weight.name, bias.name if bias else None, one, one, (0, 0), one, 1)
    return Conv(item.name, item.out, (Term(item.reads[0]),), conv)


def shuffle_source(item: Item, plan: Plan) -> int | None:
    """The map whose channels an item moves apart as pixels (torch's `pixel_shuffle`); None for any other item."""
    if not isinstance(item, Function) or item.name != SHUFFLE or len(item.calls) != 1:
        return None
    maps = len(plan.values[item.reads[0]].shape) == len(plan.values[item.out].shape) == 4
    return item.reads[0] if maps else None


def function_kernel(item: Item, plan: Plan) -> str | None:
    """What the native kernels make of a function: "mean", "linear", "shuffle"; or None for one that torch plays."""
    if any(plan.values[v].dtype is not None for v in (*item.reads, item.out)):
        return None
    if mean_source(item, plan) is not None:
        return "mean"
    if shuffle_source(item, plan) is not None:
        return "shuffle"
    return None if linear_as_conv(item, plan) is None else "linear"

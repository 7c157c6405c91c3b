"""The torch functions that planning knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Pure functions that are kept as they are; any other is refused by name. What computes has memory of its own; a view
# may share its argument's.
_METHODS_TOO = """add neg abs exp log sqrt rsqrt square reciprocal tanh sin cos pow clamp clamp_min clamp_max amax amin
    maximum minimum log_softmax logsumexp std var norm cross mm bmm baddbmm roll index_select repeat_interleave gather
    masked_fill scatter cumsum floor ceil round trunc sign remainder floor_divide tril triu argmax argmin argsort any
    all count_nonzero gt lt ge le eq ne isnan isinf isfinite logical_and logical_or logical_xor logical_not
    bitwise_and bitwise_or bitwise_xor bitwise_not prod nan_to_num take_along_dim addcmul addcdiv lerp fmod atan atan2
    asin acos sinh cosh tan hypot erf log1p expm1 log2 log10 exp2 clip absolute negative multiply subtract divide
    true_divide greater less greater_equal less_equal not_equal isclose logaddexp rot90 diff index_add index_fill
    index_copy scatter_add scatter_reduce outer dot mv addmm nansum quantile"""
_ACTIVATIONS = """silu leaky_relu hardswish hardsigmoid hardtanh relu6 elu selu celu mish
    threshold"""  # with an argument `inplace`
_COMPUTE = {
    "Tensor": """mean sum matmul mul div sub softmax sigmoid repeat flip where to __rmul__ __rsub__ __rtruediv__
        __rmod__ __rfloordiv__ __rpow__ tile""",
    "torch": f"""mean sum matmul mul div sub softmax sigmoid stack cat hstack vstack tile prelu einsum tensordot cdist
        conv1d conv3d where median {_METHODS_TOO}""",
    "functional": f"""linear avg_pool2d adaptive_avg_pool2d max_pool2d adaptive_max_pool2d softmax log_softmax pad
        sigmoid batch_norm layer_norm group_norm instance_norm normalize interpolate gelu glu softplus pixel_shuffle
        pixel_unshuffle unfold grid_sample cosine_similarity conv2d conv_transpose2d
        scaled_dot_product_attention one_hot embedding max_unpool2d avg_pool1d max_pool1d adaptive_avg_pool1d
        adaptive_max_pool1d lp_pool2d local_response_norm fold affine_grid pairwise_distance logsigmoid softmin softsign
        softshrink hardshrink tanhshrink rms_norm {_ACTIVATIONS}""",
    "linalg": "norm vector_norm",
}
_VIEW = {
    "Tensor": """view view_as reshape reshape_as permute transpose movedim swapaxes flatten unflatten unsqueeze squeeze
        contiguous expand expand_as broadcast_to select diagonal unfold swapdims moveaxis ravel t positive
        __getitem__""",
    "torch": """reshape permute transpose movedim swapaxes flatten unflatten unsqueeze squeeze narrow select
        broadcast_to diagonal swapdims moveaxis ravel t positive""",
    "functional": "channel_shuffle",
}
_OWNERS = {"Tensor": Tensor, "torch": torch, "functional": F, "linalg": torch.linalg}


def _by_name(lists: dict[str, str]) -> dict[str, Callable[..., Any]]:
    return {f"{o}.{name}": getattr(_OWNERS[o], name) for o, names in lists.items() for name in names.split()}


def written(x: Tensor, index: Any, value: Any) -> Tensor:
    """What `x` is after `x[index] = value`."""
    result = x.clone()
    result[index] = value
    return result


def filling(x: Tensor, value: Any = 0, *_: Any, **named: Any) -> Any:
    """What `copy_`, `fill_` or `zero_` writes into all of `x`."""
    return named.get("src", value)


def _deform_conv2d(*args: Any) -> Tensor:
    return torch.ops.torchvision.deform_conv2d(*args)  # there once torchvision is imported


def _attention(**given: Any) -> Tensor:
    return F.multi_head_attention_forward(**given, need_weights=False)[0]


def _attention_weights(**given: Any) -> Tensor | None:
    return F.multi_head_attention_forward(**given)[1]


def _property(name: str) -> Callable[..., Any]:
    """What torch calls for a property of tensors."""
    return getattr(Tensor, name).__get__


def _one_of(function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """One of a function's results."""
    return lambda *args, **kwargs: function(*args, **kwargs)[place]


WRITTEN, DEFORM = "written", "torchvision.deform_conv2d"
ATTENTION, ATTENTION_WEIGHTS = "attention", "attention weights"
COMPUTING = _by_name(_COMPUTE) | {
    WRITTEN: written, DEFORM: _deform_conv2d, ATTENTION: _attention, ATTENTION_WEIGHTS: _attention_weights,
}  # fmt: skip
COMPUTING |= {f"places of {name}": _one_of(getattr(torch, name), 1) for name in ("max", "min", "topk", "sort")}
_ONE_AXIS = "median mode kthvalue cummax cummin aminmax"
_PAIRED = _by_name({
    "torch": f"{_ONE_AXIS} var_mean std_mean",
    "functional": "max_pool2d_with_indices adaptive_max_pool2d_with_indices",
})  # fmt: skip
COMPUTING |= {f"{name}[{place}]": _one_of(function, place) for name, function in _PAIRED.items() for place in range(2)}
PURE_FUNCTIONS = COMPUTING | _by_name(_VIEW) | {"Tensor.T": _property("T"), "Tensor.mT": _property("mT")}
# Python operators reach torch as other objects than the named methods.
NAMES = {function: name for name, function in PURE_FUNCTIONS.items()} | {
    Tensor.__mul__: "Tensor.mul", Tensor.__truediv__: "Tensor.div", Tensor.__matmul__: "Tensor.matmul",
    Tensor.__sub__: "Tensor.sub", Tensor.__add__: "torch.add", Tensor.__radd__: "torch.add",
    Tensor.__pow__: "torch.pow", Tensor.narrow: "torch.narrow", torch.max_pool2d: "functional.max_pool2d",
    torch.flip: "Tensor.flip", torch.rsub: "Tensor.__rsub__", torch.max_pool1d: "functional.max_pool1d",
}  # fmt: skip
NAMES |= {getattr(Tensor, name): f"torch.{name}" for name in _METHODS_TOO.split()}
COMPARISONS = {getattr(Tensor, f"__{name}__"): f"torch.{name}" for name in ("gt", "lt", "ge", "le", "eq", "ne")}
_LOGIC = {"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "mod": "remainder",
          "floordiv": "floor_divide"}  # fmt: skip
NAMES |= COMPARISONS | {Tensor.__invert__: "torch.bitwise_not"}
NAMES |= {getattr(Tensor, f"__{operator}__"): f"torch.{name}" for operator, name in _LOGIC.items()}
NAMES |= {getattr(Tensor, f"__r{operator}__"): f"torch.bitwise_{operator}" for operator in ("and", "or", "xor")}
# Functions that write what another one computes into their first argument.
IN_PLACE = {
    Tensor.__iadd__: "torch.add", Tensor.__isub__: "Tensor.sub", Tensor.__imul__: "Tensor.mul",
    Tensor.__itruediv__: "Tensor.div", Tensor.__ipow__: "torch.pow", F.leaky_relu_: "functional.leaky_relu",
    F.hardtanh_: "functional.hardtanh", F.elu_: "functional.elu",
}  # fmt: skip
IN_PLACE |= {getattr(Tensor, f"__i{operator}__"): f"torch.{name}" for operator, name in _LOGIC.items()}
for _name in COMPUTING:
    for _owner in (Tensor, torch):
        _function = getattr(_owner, _name.partition(".")[2] + "_", None)
        if _function is not None and not _name.startswith("functional."):
            IN_PLACE[_function] = _name

RELU = {F.relu, torch.relu, Tensor.relu}
RELU_IN_PLACE = {F.relu_, torch.relu_, Tensor.relu_}
MAY_BE_IN_PLACE = {getattr(F, name) for name in _ACTIVATIONS.split()}
CLONE = {Tensor.clone, torch.clone}
DETACH = {Tensor.detach, torch.detach, _property("data")}
TO_NUMPY: set[Callable[..., Any]] = {Tensor.numpy, Tensor.__array__}
CAST = "Tensor.to"
CASTS = {
    Tensor.to, Tensor.type_as, Tensor.float, Tensor.double, Tensor.half, Tensor.bfloat16, Tensor.long, Tensor.int,
    Tensor.short, Tensor.char, Tensor.byte, Tensor.bool, Tensor.cpu,
}  # fmt: skip
CONCAT = {torch.cat, torch.concat, torch.concatenate}
CHUNK = {torch.chunk, Tensor.chunk}
SPLIT = {torch.split, Tensor.split}
UNBIND = {torch.unbind, Tensor.unbind}
EXTREMES = {torch.max: "max", Tensor.max: "max", torch.min: "min", Tensor.min: "min"}
ORDERED = {torch.topk: "topk", Tensor.topk: "topk", torch.sort: "sort", Tensor.sort: "sort"}
PAIRS = {function: name for name, function in _PAIRED.items()}
PAIRS |= {getattr(Tensor, name): f"torch.{name}" for name in _ONE_AXIS.split()}
FILLS = {Tensor.copy_, Tensor.fill_, Tensor.zero_}
DROPOUT = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
INTERPOLATE = {F.interpolate, F.upsample}


def _those_there(owner: object, names: str) -> set[Callable[..., Any]]:
    """Functions by name; torch's versions differ in a few, and its methods of operators belong to tensors alone."""
    named = (name for name in names.split() if owner is Tensor or not name.startswith("__"))
    return {getattr(owner, name) for name in named if hasattr(owner, name)}


# Methods that tell of a tensor what is known without its data, and change nothing.
_QUESTIONS = """size dim ndimension stride numel nelement element_size storage_offset is_contiguous is_floating_point
    is_complex is_signed is_inference is_pinned is_same_size has_names dim_order __len__ __repr__ __hash__"""
_TORCH_QUESTIONS = "numel is_floating_point is_complex is_signed is_inference is_same_size result_type"
# Attributes; a tensor without data would answer those of `WHERE` with its own device, not with the network's.
_ATTRIBUTES = """shape ndim dtype itemsize nbytes layout names requires_grad grad grad_fn is_leaf is_sparse
    is_sparse_csr is_mkldnn is_quantized is_nested"""
_WHERE = "device is_cpu is_cuda is_meta is_mps is_xpu is_xla is_ipu is_vulkan is_mtia is_maia"


def _getters(names: str) -> set[Callable[..., Any]]:
    return {_property(name) for name in names.split() if hasattr(Tensor, name)}


QUESTIONS = _those_there(Tensor, _QUESTIONS) | _those_there(torch, _TORCH_QUESTIONS) | _getters(_ATTRIBUTES)
WHERE = _getters(_WHERE) | {Tensor.get_device, torch.get_device, Tensor.type}

BY_NUMBERS = (
    "it needs numbers while the network runs, as for the size of its result, and a plan is made without any: compute "
    "that from the optimized module's results"
)
_READING = "__bool__ __int__ __float__ __index__ __contains__ __format__ item tolist numpy __array__ equal allclose"
READING = {function for owner in (Tensor, torch) for function in _those_there(owner, _READING)}
DRAWN = "it draws random numbers, and a plan would repeat those of one draw"
_DRAWING = """rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson
    binomial uniform_ normal_ random_ bernoulli_ exponential_ geometric_ cauchy_ log_normal_"""
DRAWING = {function for owner in (Tensor, torch) for function in _those_there(owner, _DRAWING)}
_WHY = {
    "it asks for numbers while the network runs, and a plan is made without any: optimize the part before it, e.g. "
    "model.backbone = hrnet_fast.optimize(model.backbone)": _READING,
    "it writes into a part of a tensor, or all of it; compute a new one instead, e.g. by torch.cat": """__setitem__
        index_put_ masked_scatter_""",
    DRAWN: _DRAWING,
    BY_NUMBERS: "nonzero argwhere masked_select unique unique_consecutive bincount",
}
WHY_NOT = {
    function: why for why, names in _WHY.items() for owner in (Tensor, torch) for function in _those_there(owner, names)
}

_IN_PLACE_OPERATORS = "add sub mul truediv floordiv mod pow and or xor lshift rshift"
_WRITING_OPERATORS = {f"__i{name}__" for name in _IN_PLACE_OPERATORS.split()} | {"__setitem__", "__set__"}


def writes(function: Callable[..., Any]) -> bool:
    """Whether a function, by its name, writes into an argument."""
    name = getattr(function, "__name__", "")
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name in _WRITING_OPERATORS

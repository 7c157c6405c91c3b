"""The torch functions that planning knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# Pure functions that are kept as they are; any other is refused by name. What computes has memory of its own; a view
# may share its argument's.
_COMPUTE = {
    "Tensor": "mean sum matmul mul div sub softmax sigmoid __rmul__",
    "torch": "mean sum matmul bmm mul div sub softmax sigmoid stack cat",
    "functional": "linear avg_pool2d adaptive_avg_pool2d max_pool2d softmax pad sigmoid batch_norm",
}
_VIEW = {
    "Tensor": "view reshape permute transpose flatten unsqueeze squeeze contiguous expand __getitem__",
    "torch": "reshape permute transpose flatten unsqueeze squeeze",
}
_OWNERS = {"Tensor": Tensor, "torch": torch, "functional": F}


def _by_name(lists: dict[str, str]) -> dict[str, Callable]:
    return {f"{o}.{name}": getattr(_OWNERS[o], name) for o, names in lists.items() for name in names.split()}


COMPUTING = _by_name(_COMPUTE)
PURE_FUNCTIONS = COMPUTING | _by_name(_VIEW)
# Python operators reach torch as other objects than the named methods.
NAMES = {function: name for name, function in PURE_FUNCTIONS.items()} | {
    Tensor.__mul__: "Tensor.mul", Tensor.__truediv__: "Tensor.div", Tensor.__matmul__: "Tensor.matmul",
    Tensor.__sub__: "Tensor.sub", torch.max_pool2d: "functional.max_pool2d",
}  # fmt: skip

ADD = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.add_, Tensor.__iadd__}
RELU = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
IN_PLACE = {Tensor.add_, Tensor.__iadd__, F.relu_, torch.relu_, Tensor.relu_}
CLONE = {Tensor.clone, torch.clone}
DETACH = {Tensor.detach, torch.detach, Tensor.data.__get__}
CONCAT = {torch.cat, torch.concat, torch.concatenate}
DROPOUT = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
INTERPOLATE = {F.interpolate, F.upsample}


def _those_there(owner: object, names: str) -> set[Callable]:
    """Functions by name; torch's versions differ in a few."""
    return {getattr(owner, name) for name in names.split() if hasattr(owner, name)}


# Methods that tell of a tensor what is known without its data, and change nothing.
_QUESTIONS = """size dim ndimension stride numel nelement element_size storage_offset is_contiguous is_floating_point
    is_complex is_signed is_inference is_pinned is_same_size has_names get_device dim_order type __len__ __repr__
    __hash__"""
_TORCH_QUESTIONS = "numel is_floating_point is_complex is_signed is_inference is_same_size get_device result_type"
QUESTIONS = _those_there(Tensor, _QUESTIONS) | _those_there(torch, _TORCH_QUESTIONS)

_NUMBERS = "it asks for numbers while the network runs, and a plan is made without any"
_PARTS = "it writes into a part of a tensor, or all of it; compute a new one instead, e.g. by torch.cat"
_WHY = {
    _NUMBERS: "__bool__ __int__ __float__ __index__ __contains__ __format__ item tolist numpy __array__ equal allclose",
    _PARTS: "__setitem__ copy_ fill_ zero_ index_copy_ index_fill_ index_add_ index_put_ masked_fill_ scatter_",
}
WHY_NOT = {function: why for why, names in _WHY.items() for function in _those_there(Tensor, names)}


_IN_PLACE_OPERATORS = "add sub mul truediv floordiv mod pow and or xor lshift rshift"
_WRITING_OPERATORS = {f"__i{name}__" for name in _IN_PLACE_OPERATORS.split()} | {"__setitem__", "__set__"}


def writes(function: Callable) -> bool:
    """Whether a function, by its name, writes into an argument."""
    name = getattr(function, "__name__", "")
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name in _WRITING_OPERATORS

"""The torch functions that planning knows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Pure functions that are kept as they are; any other is refused by name.
_TENSOR = """view reshape permute transpose flatten unsqueeze squeeze contiguous expand mean sum matmul mul div sub
    softmax sigmoid __rmul__ __getitem__"""
_TORCH = "reshape permute transpose flatten unsqueeze squeeze mean sum matmul bmm mul div sub softmax sigmoid stack cat"
_FUNCTIONAL = "linear avg_pool2d adaptive_avg_pool2d max_pool2d softmax pad sigmoid batch_norm"
PURE_FUNCTIONS = {
    f"{prefix}.{name}": getattr(owner, name)
    for owner, prefix, names in ((Tensor, "Tensor", _TENSOR), (torch, "torch", _TORCH), (F, "functional", _FUNCTIONAL))
    for name in names.split()
}
# Python operators reach torch as other objects than the named methods.
NAMES = {function: name for name, function in PURE_FUNCTIONS.items()} | {
    Tensor.__mul__: "Tensor.mul", Tensor.__truediv__: "Tensor.div", Tensor.__matmul__: "Tensor.matmul",
    Tensor.__sub__: "Tensor.sub", torch.max_pool2d: "functional.max_pool2d",
}  # fmt: skip

ADD = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.add_, Tensor.__iadd__}
RELU = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
IN_PLACE = {Tensor.add_, Tensor.__iadd__, F.relu_, torch.relu_, Tensor.relu_}
COPY = {Tensor.clone, torch.clone, Tensor.detach}
CONCAT = {torch.cat, torch.concat, torch.concatenate}
DROPOUT = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
INTERPOLATE = {F.interpolate, F.upsample}

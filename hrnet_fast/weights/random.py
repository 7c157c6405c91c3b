"""Weights for a model without a checkpoint, the same in every process."""

from __future__ import annotations

import zlib
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Model = TypeVar("Model", bound=nn.Module)


def fill_weights(model: Model) -> Model:
    """Fills every tensor of the state dict from its key and shape alone, in place, and returns the model in eval mode.

    Convolutions get He's normal initialisation; norms get scales below one, so that sums of many residual blocks
    neither overflow 16-bit types nor fade into denormals, which some CPUs compute slowly.
    """
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            tensor.copy_(_values(key, tensor))
    return model.eval()


class without_init(TorchFunctionMode):
    """Leaves new parameters as they were allocated: drawing them costs a second, and `fill_weights` writes others."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in ("normal_", "uniform_") or getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _values(key: str, like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like)
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    shape = tuple(like.shape)
    if like.dim() >= 2:
        fan_in = like[0].numel()
        return torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
    if key.endswith("running_var"):
        return torch.empty(shape).uniform_(0.5, 1.5, generator=generator)
    if key.endswith("weight"):
        return torch.empty(shape).uniform_(0.3, 0.7, generator=generator)
    return torch.randn(shape, generator=generator) * 0.1

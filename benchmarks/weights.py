"""Weights for benchmarks: random, the same on every machine, and of a scale at which activations stay sane."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

NOTE = "random weights (speed does not depend on them)"


def fill_weights(model: nn.Module) -> nn.Module:
    """Fills every tensor of the state dict from its key and shape alone, in place, and returns the model in eval mode.

    Convolutions get He's normal initialisation; norms get scales below one, so that sums of many residual blocks
    neither overflow bfloat16 nor fade into denormals, which some CPUs compute slowly.
    """
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            tensor.copy_(_values(key, tensor))
    return model.eval()


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

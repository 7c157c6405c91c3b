"""hrnet_fast itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import hrnet_fast

from .base import Call, Runner

OURS = "hrnet_fast"


class HrnetFast(Runner):
    name = OURS
    settings = "hrnet_fast.optimize(model, dtype=dtype), NCHW input"

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        fast = hrnet_fast.optimize(model, dtype=dtype, example=x)
        fast(x)
        return lambda: fast(x)

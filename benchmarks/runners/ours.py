"""hrnet_fast itself."""

from __future__ import annotations

from collections import Counter
from functools import partial

import torch
from torch import Tensor, nn

import hrnet_fast

from .base import Call, Runner

OURS = "hrnet_fast"
EXACT = f"{OURS} exact"


class HrnetFast(Runner):
    name = OURS
    settings = "hrnet_fast.optimize(model, dtype=dtype), NCHW input"
    is_ours = True
    exact = False

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        fast = hrnet_fast.optimize(model, dtype=dtype, example=x, exact=self.exact)
        fast(x)
        self._tell = partial(_told, fast, x)
        return lambda: fast(x)


def _told(fast: hrnet_fast.OptimizedModule, x: Tensor) -> str:
    plan = fast.plan_for(x)
    levels = Counter(fast.executor.explain(plan, level)[0] for level in plan.levels)
    by = ", ".join(f"{count} levels by {name}" for name, count in levels.most_common())
    return f"{by}, in {str(fast.executor.dtype).removeprefix('torch.')}"


class ExactHrnetFast(HrnetFast):
    """Beside ours it shows what Winograd's convolutions gain, and what they add to the error."""

    name = EXACT
    settings = "hrnet_fast.optimize(model, dtype=dtype, exact=True): no Winograd"
    devices = ("cpu",)
    exact = True

    def refusal(self, dtype: torch.dtype, device: torch.device) -> str | None:
        if dtype != torch.float32 and device.type == "cpu":
            return "compared in float32, where rounding does not hide the error of Winograd's convolutions"
        return super().refusal(dtype, device)

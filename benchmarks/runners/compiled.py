"""torch.compile, in the modes that a user would try."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch._inductor.utils import fresh_cache

from .base import Call, Runner

# its workers warn of a CUDA toolkit without a GPU, which has no bearing on a build for the CPU
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


class Compile(Runner):
    name = "torch.compile"
    settings = "inductor, default mode, channels_last, static shapes"
    slow_build = True
    options: dict[str, object] | None = None
    mode: str | None = None

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        module = model.to(dtype).to(memory_format=torch.channels_last).requires_grad_(False)
        x = x.contiguous(memory_format=torch.channels_last)
        compiled = torch.compile(module, fullgraph=True, dynamic=False, options=self.options, mode=self.mode)
        with fresh_cache():  # a build is timed as on a machine that never saw this model
            compiled(x)
        return lambda: compiled(x)


class CompileFreezing(Compile):
    name = "torch.compile freezing"
    settings = "inductor with freezing=True (weights folded and prepacked), channels_last, static shapes"
    options = {"freezing": True}  # noqa: RUF012


class CompileMaxAutotune(Compile):
    name = "torch.compile max-autotune"
    settings = "inductor, mode max-autotune (CUDA graphs included), channels_last, static shapes"
    devices = ("cuda",)
    mode = "max-autotune"

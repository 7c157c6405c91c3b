"""torch.compile, in the modes that a user would try."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from .base import Call, Runner

# its workers warn of a CUDA toolkit without a GPU, which has no bearing on a build for the CPU
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


class Compile(Runner):
    """mode: torch.compile's. freezing: weights folded into the graph. keep_cache: use the compiler's own cache folder,
    so that a second build is quick, where one that is timed starts as on a machine that never saw this model.
    before_run: called when all is compiled, before the first kernel runs (libraries choose their algorithms then)."""

    slow_build = True

    def __init__(self, mode: str = "default", freezing: bool = False, keep_cache: bool = False):
        self.mode, self.freezing, self.keep_cache = mode, freezing, keep_cache
        self.before_run: Callable[[], None] | None = None
        words = ["torch.compile", *([] if mode == "default" else [mode]), *(["freezing"] if freezing else [])]
        self.name = " ".join(words)
        graphs = ", CUDA graphs included" if self.has_graphs else ""
        frozen = ", freezing=True (weights folded and prepacked)" if freezing else ""
        self.settings = f"inductor, {mode} mode{graphs}{frozen}, channels_last, static shapes"
        self.devices = ("cpu", "cuda") if mode == "default" else ("cuda",)

    @property
    def has_graphs(self) -> bool:
        """Whether its calls replay CUDA graphs of its own."""
        return self.mode in ("reduce-overhead", "max-autotune")

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        from torch._inductor import config as inductor  # takes four seconds: only where something is compiled
        from torch._inductor.utils import fresh_cache

        with torch.inference_mode(False):  # some of the compiled code, and of the compiler, refuses inference tensors
            module = copy.deepcopy(model).to(dtype).to(memory_format=torch.channels_last).requires_grad_(False)
            x = x.clone(memory_format=torch.channels_last)
        compiled = torch.compile(module, fullgraph=True, dynamic=False, **self._how())

        def call() -> object:
            with torch.inference_mode(False), torch.no_grad():
                return compiled(x)

        # freezing must stand in the global settings: as an option of torch.compile, Dynamo does not see it, takes the
        # weights for inputs, and nothing is folded
        frozen = inductor.patch(freezing=True) if self.freezing else nullcontext()
        with frozen, nullcontext() if self.keep_cache else fresh_cache():
            for _ in range(3 if self.has_graphs else 1):  # its graphs are recorded at the second call
                call()
        return call

    def _how(self) -> dict[str, object]:
        """Arguments of torch.compile: its mode, or the very same as a backend that calls `before_run`."""
        if self.before_run is None:
            return {"mode": self.mode}
        from torch._inductor import list_mode_options
        from torch._inductor.compile_fx import compile_fx

        def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
            made = compile_fx(graph, inputs, config_patches=list_mode_options(self.mode))
            self.before_run()
            return made

        return {"backend": backend}

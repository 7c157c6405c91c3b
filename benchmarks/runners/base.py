"""What a runner is: one way to run a model, with its best correct settings."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import isa

Call = Callable[[], object]


class Runner(ABC):
    """One way to run a model. All runners use `torch.get_num_threads()` threads.

    name: as the table shows it; settings: what a reader needs to know of how it is run; slow_build: over half a minute;
    chooses_by_cpu: its kernels cannot be held to HRNET_FAST_CPU_ISA; is_ours: held to the tolerance in every dtype.
    """

    name: str
    settings: str
    devices: tuple[str, ...] = ("cpu", "cuda")
    needs: tuple[str, ...] = ()
    slow_build = False
    chooses_by_cpu = False
    is_ours = False
    _tell: Callable[[], str] | None = None

    def refusal(self, dtype: torch.dtype, device: torch.device) -> str | None:
        """Why this runner cannot run here, in one sentence; None if it can."""
        if device.type not in self.devices:
            return f"runs on {' and '.join(self.devices)} only"
        if self.chooses_by_cpu and isa.ASKED:
            return f"cannot be held to {isa.ASKED}: its kernels choose by the CPU alone"
        missing = [module for module in self.needs if importlib.util.find_spec(module) is None]
        if missing:
            return f"not installed (pip install {' '.join(missing)})"
        return None

    def ran(self) -> str | None:
        """What it computes with, as it says itself, if it does so; to be asked once, after `build`."""
        tell, self._tell = self._tell, None
        return tell() if tell else None

    @abstractmethod
    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        """A call without arguments that runs the model once on `x` and returns its outputs.

        model: float32, eval mode, on the device, this runner's own copy; x: [N, 3, H, W] in `dtype`, contiguous.
        What can be done once (export, compilation, the layout and type of the input) is done here, not in the call.
        """

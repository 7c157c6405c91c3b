"""What an optimized module made of its original's weights: an executor, and a program for each input shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ..plan import Plan, PlanError, inference_view, make_plan, named_tensors, names_in, sample_of, unwrap
from .choose import make_executor
from .executor import Run
from .gpu.tape import refuse_capture
from .locks import Lock
from .outline import Outlines
from .versions import Versions

FLOATING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
CHANGED = (
    "the weights were changed after optimize(), so this module would compute with the old ones: "
    "call its refresh() to take the new ones; where others stand in for one call, as by torch.func.functional_call, "
    "call its `original` so"
)


@dataclass(frozen=True)
class Program:
    """A plan and what its executor made of it."""

    plan: Plan
    run: Run


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """The executors' dtype is their own: torch would change it for what torch plays, and a CUDA graph keep that."""
    there = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if there else nullcontext()


class Prepared:
    """One state of the weights: where they change, another `Prepared` takes its place, and a call keeps the one that it
    began with.

    dtype, executor, exact: as `optimize` takes them.
    """

    def __init__(self, original: nn.Module, dtype: torch.dtype | None, executor: str, exact: bool):
        for part in original.modules():
            unwrap(part)  # TorchScript has to be refused before its parts are looked at
        self.original, self.view = original, inference_view(original)
        self.outlines = Outlines(self.view)
        tensors = named_tensors(original)
        for key, tensor in tensors.items():
            if is_traceable_wrapper_subclass(tensor):  # sharded over processes, or torchao's
                raise PlanError(
                    f"{key!r} is a {type(tensor).__name__}, whose numbers the executors cannot read: optimize a module "
                    "of ordinary tensors, whole and not quantized"
                )
        self.versions = Versions(original)
        sample = sample_of(original)
        self.device = sample.device
        self.dtype = dtype or sample.dtype
        self.executor = make_executor(executor, tensors, self.dtype, self.device, exact)
        self.programs: OrderedDict[tuple[Any, ...], Program] = OrderedDict()
        self._lock = Lock()

    def program(self, inputs: Sequence[Any], leaves: Sequence[Tensor], structure: str) -> Program:
        """The program for inputs of these shapes. leaves, structure: of the inputs, as `describe` gives them."""
        key = (structure, *[x.shape for x in leaves])
        with self._lock:
            program = self.programs.get(key)
            if program is None:
                refuse_capture(self.device)
                self.check_weights()  # the plan is made of the module as it is now, the rest of what it was
                with no_autocast(self.device):
                    plan = make_plan(self.view, *inputs)
                    self.versions.follow(names_in(tuple(plan.items())) if self.versions.held else ())
                    program = self.programs[key] = Program(plan, self.executor.prepare(plan))
                if len(self.programs) > self.executor.max_plans:  # the least recently used one goes
                    self.programs.popitem(last=False)
            else:
                self.programs.move_to_end(key)
        return program

    def play(self, inputs: Sequence[Any], leaves: Sequence[Tensor], structure: str) -> tuple[list[Tensor], Any]:
        """The results in order, and how they nest. leaves, structure: of the inputs, as `describe` gives them."""
        if any(x.shape[0] == 0 for x in leaves):
            with torch.no_grad():
                return pytree.tree_flatten(self.plain(inputs))
        program = self.program(inputs, leaves, structure)
        with torch.inference_mode(), no_autocast(self.device):
            results = program.run(leaves)
        self.check_weights()  # last, while a GPU is at work
        return results, program.plan.output_tree

    def check_inputs(self, leaves: Sequence[Tensor]) -> None:
        """Raises TypeError or ValueError, in one sentence, for tensors that no plan takes."""
        if not leaves:
            raise TypeError("the network was called without an input")
        for x in leaves:
            if x.dtype not in FLOATING:
                how = "x.float() / 255" if x.dtype == torch.uint8 else "x.float()"
                raise TypeError(f"the input is {x.dtype}, but must be floating point: convert it, e.g. {how}")
            if x.layout is not torch.strided or x.is_nested:
                raise TypeError("the input is sparse or nested, but must be dense: convert it, e.g. x.to_dense()")
            if x.device != self.device:
                self.check_weights()  # others may be elsewhere
                raise ValueError(f"the input is on {x.device}, but the network is on {self.device}: move one of them")
            if x.dim() == 0:
                raise ValueError("the input has shape (): a batch has a dimension for its images")

    def check_weights(self) -> None:
        """Raises RuntimeError if the weights were changed, in place or for others."""
        if self.versions.changed():
            raise RuntimeError(CHANGED)

    def plain(self, inputs: Sequence[Any]) -> Any:
        """What the original itself computes in evaluation mode, in the dtype of its weights, for inputs of any."""

        def back(y: Any) -> Any:
            return y.to(dtype) if isinstance(y, Tensor) and y.is_floating_point() else y

        dtype = next(x.dtype for x in pytree.tree_leaves(inputs) if x is not None)
        view = inference_view(self.original)  # its mode and its tensors, with their dtype, may be others by now
        own = sample_of(view).dtype
        results = view(*pytree.tree_map(lambda x: x if x is None else x.to(own), tuple(inputs)))
        return pytree.tree_map(back, results)

"""The module a user holds: the original's tensors, keys and attributes, with a forward that plays plans."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _len_torch_dispatch_stack as dispatch_modes

from ..plan import Plan, inference_view, make_plan, named_tensors, unwrap
from . import op
from .choose import make_executor
from .executor import Progress, Run
from .locks import Lock
from .outline import Outlines
from .profile import time_levels
from .results import own_copies
from .versions import Versions

FLOATING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Program:
    """A plan and what its executor made of it."""

    plan: Plan
    run: Run


class OptimizedModule(nn.Module):
    """A drop-in for `original`: the same forward, the same `state_dict`, the same attributes.

    It shares the original's parameters and submodules, and folds and packs a copy of the weights for its executor.
    Each new input shape is planned once and remembered. Inference only: where an input requires a gradient, the
    original runs instead, and a warning says so once. `torch.compile` and `torch.export` of a larger model see one op
    (`hrnet_fast/engine/op.py`).
    """

    def __init__(self, original: nn.Module, dtype: torch.dtype | None, executor: str, exact: bool = False):
        super().__init__()
        original = unwrap(original)
        object.__setattr__(self, "original", original)
        # The very dictionaries of the original: keys, `parameters()`, `.to()` and attribute access are its own.
        for shared in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, shared, getattr(original, shared))
        self.training = original.training
        self.requested_dtype, self.requested_executor, self.exact = dtype, executor, exact
        self._prepare()
        self._token = op.register(self)

    def _prepare(self) -> None:
        self._lock = Lock()
        self._programs: OrderedDict[tuple, Program] = OrderedDict()
        object.__setattr__(self, "_view", inference_view(self.original))  # not a submodule
        self._outlines = Outlines(self._view)
        tensors = named_tensors(self.original)
        self._tensors = tuple(tensors.values())
        self._versions = Versions(self._tensors)
        sample = next((t for t in self._tensors if t.is_floating_point()), torch.empty(0))
        self.dtype = self.requested_dtype or sample.dtype
        self.device = sample.device
        self.executor = make_executor(self.requested_executor, tensors, self.dtype, self.device, self.exact)

    def refresh(self) -> None:
        """Fold and pack the weights anew, after they were changed in place."""
        self._prepare()

    def plan_for(self, *inputs: Any) -> Plan:
        """The Plan for inputs of these shapes (tensors, or lists of them; their data is not read)."""
        return self.program_for(*inputs).plan

    def program_for(self, *inputs: Any) -> Program:
        """The Plan for inputs of these shapes with the function that plays it."""
        leaves: list[Tensor] = []
        structure = op.describe(inputs, leaves)
        return self._program(inputs, leaves, structure)

    def tune(self, *inputs: Any, progress: Progress = iter, again: bool = False) -> dict[str, Any]:
        """Measure the kernels for the plan for inputs like these, keep the best in the user's cache, and use them.

        On a GPU these are the tiles of every level, on a CPU the algorithms of every distinct 3x3 convolution, for as
        many threads as torch uses now, and only if they make the whole network faster.
        progress: wraps what is measured, e.g. in a progress bar. again: also measure what the cache already has.
        Returns the findings by signature, each with its time and the previous one; empty if everything was known.
        Raises RuntimeError if the executor has nothing to tune.
        """
        found = self.executor.tune(self.plan_for(*inputs), progress, again)
        self._prepare()
        return found

    def profile(self, *inputs: Any) -> list[tuple[int, float]]:
        """(level, microseconds) of the plan for inputs like these.

        On a GPU each level is repeated alone inside a CUDA graph, and RuntimeError is raised where the executor does
        not play levels; on a CPU it is the median over whole calls, played level by level.
        """
        if self.device.type != "cpu":
            return self.executor.profile(self.plan_for(*inputs))
        leaves: list[Tensor] = []
        structure = op.describe(inputs, leaves)
        self._check_inputs(leaves)
        return time_levels(self.executor, self._program(inputs, leaves, structure).plan, leaves)

    def _program(self, inputs: Sequence[Any], leaves: Sequence[Tensor], structure: str) -> Program:
        key = (structure, *[x.shape for x in leaves])
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                plan = make_plan(self._view, *inputs)
                program = self._programs[key] = Program(plan, self.executor.prepare(plan))
                if len(self._programs) > self.executor.max_plans:  # the least recently used one goes
                    self._programs.popitem(last=False)
            else:
                self._programs.move_to_end(key)
        return program

    def forward(self, *inputs: Any) -> Any:
        """What the original returns in evaluation mode.

        inputs: as the original takes them: images (N, 3, H, W), or a HighResolutionModule's list of maps (N, C, H, W).
        They may have any floating dtype, memory format and strides, lie on the module's device, and are not written to.
        The results are nested as the original's. They are new tensors in the first input's dtype; maps are
        channels-last if the first input is channels-last and not contiguous too, else contiguous.
        Several threads may call at once; on a GPU, calls of one shape run one after another. No call may run while
        `refresh`, `tune`, `load_state_dict`, `.to()` or the like replaces the packed weights.
        Raises TypeError for no input, one that is not a tensor or a list of tensors, and a dtype that is not floating;
        ValueError for another device than the module's, an empty batch and, as PlanError, shapes that do not suit the
        network; RuntimeError if the weights were changed in place, or if the executor cannot play this shape.
        """
        if torch.compiler.is_compiling() or dispatch_modes():
            return op.call(self, inputs)
        leaves: list[Tensor] = []
        structure = op.describe(inputs, leaves)
        if leaves and type(leaves[0]) is not Tensor:  # a fake or wrapped tensor
            return op.call(self, inputs)
        self._check_inputs(leaves)
        if op.wants_gradient(leaves):
            return self.original(*inputs)
        results, output_tree = self._play(inputs, leaves, structure)
        return pytree.tree_unflatten(results, output_tree)

    def _play(self, inputs: Sequence[Any], leaves: Sequence[Tensor], structure: str) -> tuple[list[Tensor], Any]:
        """The results in order, and how they nest. leaves, structure: of the inputs, as `op.describe` gives them."""
        program = self._program(inputs, leaves, structure)
        with torch.inference_mode():
            results = program.run(leaves)
        if not self.executor.hands_over:
            results = own_copies(results, leaves[0])
        if self._versions.changed():  # last, while a GPU is at work
            raise RuntimeError(
                "the weights were changed after optimize(), so this module would compute with the old ones: "
                "call its refresh() to take the new ones"
            )
        return results, program.plan.output_tree

    def _check_inputs(self, leaves: Sequence[Tensor]) -> None:
        if not leaves:
            raise TypeError("the network was called without an input")
        for x in leaves:
            if x.dtype not in FLOATING:
                raise TypeError(f"the input is {x.dtype}, but must be floating point: convert it, e.g. x.float() / 255")
            if x.device != self.device:
                raise ValueError(f"the input is on {x.device}, but the network is on {self.device}: move one of them")
            shape = x.shape
            if not shape or (isinstance(shape[0], int) and shape[0] == 0):  # a symbol may have no number yet
                raise ValueError(f"the input has shape {tuple(shape)}: a batch needs at least one image")

    def _apply(self, fn, recurse=True):
        """`.to()`, `.float()` and the like act on the original's tensors; what was packed is made anew."""
        super()._apply(fn, recurse)
        self._prepare()
        return self

    def load_state_dict(self, *args, **kwargs):
        """Load into the original, then fold and pack the new weights."""
        result = super().load_state_dict(*args, **kwargs)
        self._prepare()
        return result

    def __getstate__(self) -> dict:
        """Only what rebuilds the module: locks, plans and packed weights are made anew by the reader."""
        asked = {"dtype": self.requested_dtype, "executor": self.requested_executor, "exact": self.exact}
        return {"original": self.original, **asked}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def extra_repr(self) -> str:
        return f"optimized {type(self.original).__name__}, dtype={self.dtype}, executor={self.executor.name}"

"""The module a user holds: the original's tensors, keys and attributes, with a forward that plays plans."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import inf
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _len_torch_dispatch_stack as dispatch_modes

from ..plan import Plan, unwrap
from ..plan.warn import warn
from . import op
from .executor import Executor, Progress
from .hooks import Hooks
from .nesting import NOT_FOR_FX, Input, describe
from .prepared import FLOATING, Prepared, Program
from .profile import time_levels
from .tuning.found import Tuning

_STATE_HOOKS = ("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks")


class OptimizedModule(nn.Module):
    """A drop-in for `original`: the same forward, the same `state_dict`, the same attributes and methods.

    It shares the original's parameters and submodules; its executor uses a folded and packed copy of the weights.
    Each new input shape is planned once and remembered. Inference only: if an input requires a gradient, inside
    torch.func's transforms, and while a dispatch mode or forward hooks of its layers watch them, the
    original runs instead, in evaluation mode, and a warning says so once. Attributes and methods that it lacks are the
    original's; such methods run the original's code. Autocast does not change its dtype. `torch.compile` and
    `torch.export` of a larger model see it as one op (`hrnet_fast/engine/op.py`).
    """

    original: nn.Module
    requested_dtype: torch.dtype | None
    requested_executor: str
    exact: bool
    _prepared: Prepared
    _hooks: Hooks

    def __init__(self, original: nn.Module, dtype: torch.dtype | None, executor: str, exact: bool = False) -> None:
        if dtype is not None and dtype not in FLOATING:
            names = ", ".join(str(each) for each in FLOATING)
            raise TypeError(f"dtype is {dtype!r}; it must be one of {names}, or None for that of the weights")
        super().__init__()
        original = unwrap(original)
        object.__setattr__(self, "original", original)
        # The very dictionaries of the original: keys, `parameters()`, `.to()` and attribute access are its own.
        for shared in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", *_STATE_HOOKS):
            object.__setattr__(self, shared, getattr(original, shared))
        self.training = original.training
        for name, value in (("requested_dtype", dtype), ("requested_executor", executor), ("exact", exact)):
            object.__setattr__(self, name, value)  # the original may have a submodule of that name
        self._prepare()
        self._token = op.register(self)
        self._hooks = Hooks(original)
        self.register_load_state_dict_post_hook(_loaded_with_its_parent)

    def _prepare(self) -> None:
        asked = self.requested_dtype, self.requested_executor, self.exact
        self._prepared = Prepared(self.original, *asked)  # at once: a call takes the old one or the new one

    @property
    def dtype(self) -> torch.dtype:
        """The dtype asked for, or that of the weights; `executor.dtype` is the one that it computes in."""
        return self._prepared.dtype

    @property
    def device(self) -> torch.device:
        return self._prepared.device

    @property
    def executor(self) -> Executor:
        return self._prepared.executor

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "original" not in self.__dict__:  # not made yet
                raise
        return getattr(self.original, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.original)})

    def refresh(self) -> None:
        """Call it after the weights or the module were changed: folds and packs the weights and plans again."""
        self._prepare()

    def plan_for(self, *inputs: Input) -> Plan:
        """The Plan for inputs of these shapes (tensors, or lists of them; their data is not read)."""
        return self.program_for(*inputs).plan

    def program_for(self, *inputs: Input) -> Program:
        """The Plan for inputs of these shapes, together with the function that plays it."""
        structure, leaves = describe(inputs)
        return self._prepared.program(inputs, leaves, structure)

    def tune(
        self, *inputs: Input, progress: Progress = iter, again: bool = False, seconds: float | None = None
    ) -> Tuning[Any]:
        """Measure which kernels are the fastest for inputs like these, keep them in the user's cache, and use them.

        On a GPU, these are the tiles of every level. On a CPU, they are the algorithms of every distinct 3x3
        convolution, for as many threads as torch uses now, and are kept only if the whole network becomes faster.
        progress: wraps the list of what is measured, e.g. in a progress bar. again: also measure what is in the cache.
        seconds: on a GPU, begin nothing more after about so many; the result's `left` is the number of levels that
        remain for another call.
        Returns the findings by signature, each with its time and the previous one; empty if everything was known.
        Raises RuntimeError if the executor has nothing to tune, ValueError for `seconds` on a CPU.
        """
        if seconds is not None and self.device.type == "cpu":
            raise ValueError("seconds= limits the tuning on a GPU; on a CPU all is tuned or nothing: leave it out")
        found = self.executor.tune(self.plan_for(*inputs), progress, again, inf if seconds is None else seconds)
        self._prepare()
        return found

    def profile(self, *inputs: Input) -> list[tuple[int, float]]:
        """The time of each level for inputs like these, as (level, microseconds).

        On a GPU, each level is repeated alone inside a CUDA graph; RuntimeError if the executor does not play levels.
        On a CPU, it is the median over whole calls, played level by level.
        """
        if self.device.type != "cpu":
            return self.executor.profile(self.plan_for(*inputs))
        structure, leaves = describe(inputs)
        self._prepared.check_inputs(leaves)
        return time_levels(self.executor, self._prepared.program(inputs, leaves, structure).plan, leaves)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the original returns in evaluation mode.

        inputs, named: as the original takes them: images (N, 3, H, W), or a HighResolutionModule's list of maps
        (N, C, H, W), or None. They may have any floating dtype, memory format and strides. They must be on the module's
        device, and are not written to. An empty batch is run by the original.
        The results are new tensors, nested as the original's, in the first input's dtype; labels, masks and numbers
        made of these alone have the original's. Maps are channels-last if the first input is channels-last and not also
        contiguous; otherwise they are contiguous.
        Several threads may call at once; on a GPU, calls of one shape run one after another. A call during `refresh`,
        `tune`, `load_state_dict`, `.to()` or the like ends with the weights it began with, or raises.
        Raises TypeError if there is no input, if one is neither a tensor nor a list of tensors, if its dtype is not
        floating, or if a named one cannot be given by position and is not the default; ValueError for inputs on another
        device and (PlanError) for shapes that do not suit the network; RuntimeError if the executor cannot run this
        shape, or if torch shows that the weights were changed or replaced. Torch does not show writes through `.data`
        (but those of optimizers), through NumPy, by another process or into tensors made in inference mode, and
        settings of layers, such as `eps` and `stride`, are not looked at: call `refresh` after these.
        """
        if type(inputs) is not tuple:  # torch.fx's stand-in for all of them
            raise TypeError(NOT_FOR_FX)
        if named:
            inputs = self._by_position(inputs, named)
        structure, leaves = describe(inputs)
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing() or dispatch_modes()
        traced = traced or (leaves and type(leaves[0]) is not Tensor)  # but a fake or wrapped tensor
        if not traced:
            self._prepared.check_inputs(leaves)
        if op.wants_original(self, leaves):
            return self._prepared.plain(inputs)
        if traced:
            return op.call(self._token, structure, leaves)
        results, output_tree = self._prepared.play(inputs, leaves, structure)
        return pytree.tree_unflatten(results, output_tree)

    def _by_position(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """All inputs by position, without named ones of the original's default value, which the plan has already."""
        signature = inspect.signature(self.original.forward)
        for name, parameter in signature.parameters.items():
            if name in named and _is_default(named[name], parameter.default):
                del named[name]
        bound = signature.bind(*inputs, **named)
        for name in bound.kwargs:
            raise TypeError(
                f"{name}= cannot be given to an optimized network, which is planned for its inputs by position alone: "
                "call its `original`, or optimize a module whose forward does not need it"
            )
        return bound.args

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The original's, as it saves itself."""
        return self.original.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The original's, as it loads itself; what was packed is made anew."""
        result = self.original.load_state_dict(*args, **kwargs)
        self._prepare()
        return result

    def _load_from_state_dict(self, *args: Any) -> None:
        """When a parent loads."""
        self.original._load_from_state_dict(*args)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> OptimizedModule:
        """`.to()`, `.float()` and the like act on the original's tensors; what was packed is made anew."""
        super()._apply(fn, recurse)
        self._prepare()
        return self

    def train(self, mode: bool = True) -> OptimizedModule:
        """Sets the original's mode. In either mode this module computes what the original does in evaluation mode."""
        if mode and not self.training and any(p.requires_grad for p in self.parameters()):
            warn(
                "an optimized network is not trained: its results carry no gradients of its weights; train its "
                "`original`, or freeze it by requires_grad_(False)"
            )
        self.original.train(mode)
        self.training = mode
        return self

    def __prepare_scriptable__(self) -> NoReturn:
        raise TypeError(
            "torch.jit.script cannot compile an optimized network: script its `original`, or take torch.jit.trace"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Only what rebuilds the module: locks, plans and packed weights are made anew by the reader."""
        asked = {"dtype": self.requested_dtype, "executor": self.requested_executor, "exact": self.exact}
        return {"original": self.original, **asked}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, **state)

    def extra_repr(self) -> str:
        return f"optimized {type(self.original).__name__}, dtype={self.dtype}, executor={self.executor.name}"


def _loaded_with_its_parent(module: OptimizedModule, keys: Any) -> None:
    for hook in module.original._load_state_dict_post_hooks.values():
        hook(module.original, keys)
    module._prepare()


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, (str, int, float)) and value == default)

"""The modules that planning reads: which one a wrapper stands for, in evaluation mode, and its tensors by key."""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict, deque
from functools import partial
from itertools import chain
from types import MethodType, NoneType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..warn import warn
from .frozen import frozen_norm
from .held import OF_TORCH, held_tensors

_CONTAINERS = (dict, OrderedDict, defaultdict, SimpleNamespace, list, deque, set)
_PLAIN = (int, float, bool, str, NoneType)
# What every module has, of which a twin needs no copy of its own.
_OF_TORCH = OF_TORCH - {"_parameters", "_buffers", "_modules"}
_HOOKS = [name for name in _OF_TORCH if name.endswith("_hooks")]


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside DataParallel, DistributedDataParallel, torch.compile or optimize.

    Raises PlanError for TorchScript, which nothing can be traced of.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise PlanError(
            f"{module.original_name} is a TorchScript module, whose operations cannot be traced: optimize the module "
            "that torch.jit was given"
        )
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrap(module.module)
    if (compiled := module._modules.get("_orig_mod")) is not None:
        return unwrap(compiled)
    original = module.__dict__.get("original")
    if isinstance(original, nn.Module) and original._modules is module._modules:  # an optimized module
        return unwrap(original)
    return module


def inference_view(module: nn.Module) -> nn.Module:
    """The module itself if it is in evaluation mode, else a twin in evaluation mode that shares every tensor."""
    return _Twins().of(module) if any(m.training for m in module.modules()) else module


def traceable_twin(module: nn.Module) -> nn.Module:
    """A twin in evaluation mode, without hooks, that shares every tensor, and has modules and Python's containers for
    itself.

    So what a forward keeps in them, e.g. features in a dict, does not reach the user's module while it is traced. What
    it keeps in objects of other classes does.
    """
    hooked = [name for name, m in module.named_modules() if m._forward_hooks or m._forward_pre_hooks]
    if hooked:
        first = f"{hooked[0]!r}" if hooked[0] else "the network itself"
        warn(
            f"the network has forward hooks (on {len(hooked)} of its modules, the first is {first}), which are "
            "not traced: an optimized module runs the original while they are there, and a saved one lacks them"
        )
    return _Twins(plain=True).of(module)


class _Twins:
    """Copies of modules and of their containers, each made once. plain: without hooks and wrappers."""

    def __init__(self, plain: bool = False):
        self.plain = plain
        self._made: dict[int, Any] = {}

    def of(self, module: nn.Module) -> nn.Module:
        inside = unwrap(module)
        module = inside if self.plain else module  # a wrapper is part of the tensors' keys
        if id(module) not in self._made:
            # not copy.copy, by which parametrized modules refuse to be copied
            self._made[id(module)] = twin = object.__new__(type(module))
            twin.__dict__.update(module.__dict__, training=False, _compiled_call_impl=None)
            for name in module.__dict__.keys() - _OF_TORCH:
                twin.__dict__[name] = self._own(module.__dict__[name])
            for name in _HOOKS if self.plain else ():
                if module.__dict__.get(name):
                    twin.__dict__[name] = OrderedDict()
            if self.plain and (norm := frozen_norm(module)) is not None:
                twin.__dict__["forward"] = norm
        return self._made[id(module)]

    def _own(self, x: Any) -> Any:
        if type(x) in _PLAIN:  # as most are
            return x
        if isinstance(x, nn.Module):
            return self.of(x)
        if isinstance(x, MethodType) and isinstance(x.__self__, nn.Module):
            return MethodType(x.__func__, self.of(x.__self__))
        if type(x) is tuple:
            return tuple(map(self._own, x))
        if isinstance(x, tuple) and hasattr(x, "_make"):  # a namedtuple
            return x._make(map(self._own, x))
        if type(x) is partial:
            return partial(self._own(x.func), *map(self._own, x.args), **self._own(x.keywords))
        if id(x) not in self._made and type(x) in _CONTAINERS:
            self._made[id(x)] = own = copy.copy(x)
            if isinstance(x, (dict, SimpleNamespace)):
                own, named = (o if isinstance(o, dict) else vars(o) for o in (own, x))
                own.update((key, self._own(part)) for key, part in named.items())
            else:
                own.clear()
                (own.update if isinstance(own, set) else own.extend)(map(self._own, x))
        return self._made.get(id(x), x)


def plain_values(module: nn.Module) -> dict[str, Any]:
    """The numbers, texts and Nones among the attributes of a module and of those inside it."""
    return {
        f"{name}.{key}".removeprefix("."): value
        for name, part in module.named_modules()
        for key, value in part.__dict__.items()
        if type(value) in _PLAIN
    }


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, buffers and plain attributes by key; a tensor that is there twice under its first one."""
    module = unwrap(module)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    known = {id(tensor) for tensor in own.values()}
    held = {name: one.tensor for name, one in held_tensors(module).items() if id(one.tensor) not in known}
    return own | {name: tensor for name, tensor in held.items() if name not in own}


def sample_of(module: nn.Module) -> Tensor:
    """A tensor of the dtype and device that the network computes in: its first of floating point."""
    tensors = chain(module.parameters(), module.buffers())
    return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0, device="cpu"))

"""Tensors that modules hold as plain attributes, e.g. `self.mean = torch.tensor(...)`: no parameters, no buffers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

OF_TORCH = frozenset(nn.Module().__dict__)  # what every module has
_DEEPEST = 3  # an attribute, in a container, of an object
_NOT_HOLDERS = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, nn.Module, torch.dtype, torch.device)


@dataclass(frozen=True)
class Held:
    """A tensor, and how one comes to it from its module: in which dictionaries or lists, under which key or index, what
    was there."""

    tensor: Tensor
    steps: tuple[tuple[Any, Any, Any], ...]

    def replaced(self) -> bool:
        return any(not _has(holder, key, value) for holder, key, value in self.steps)


def held_tensors(module: nn.Module) -> dict[str, Held]:
    """By key, e.g. "backbone.mean" or "means.0" in a list: those of attributes, and of what these hold.

    Not of modules with a hook before their forward, which may make them anew at every call, nor of torch's own.
    """
    found: dict[str, Held] = {}
    for name, part in module.named_modules():
        if not part._forward_pre_hooks and not type(part).__module__.startswith("torch.nn.modules."):
            own = {key: value for key, value in part.__dict__.items() if key not in OF_TORCH}
            _walk(f"{name}." if name else "", own, part.__dict__, (), found, set())
    return found


def _walk(
    path: str, items: Mapping[Any, Any], holder: Any, steps: tuple[Any, ...], found: dict[str, Held], seen: set[int]
) -> None:
    for key, value in items.items():
        here = (*steps, (holder, key, value))
        if type(value) in (Tensor, nn.Parameter):
            if value.layout is torch.strided and not value.is_meta:
                found.setdefault(f"{path}{key}", Held(value, here))
        elif len(here) < _DEEPEST and id(value) not in seen:
            seen.add(id(value))
            if (inner := _inside(value)) is not None:
                _walk(f"{path}{key}.", *inner, here, found, seen)


def _inside(value: Any) -> tuple[Mapping[Any, Any], Any] | None:
    """What a container or an object holds, by key, and where that stands; None for anything else."""
    if isinstance(value, dict):
        return dict(dict.items(value)), value  # nothing of a subclass, which may compute what it is asked for
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value)), value
    own = None if isinstance(value, _NOT_HOLDERS) else getattr(value, "__dict__", None)
    return (dict(own), own) if isinstance(own, dict) else None


def _has(holder: Any, key: Any, value: Any) -> bool:
    if isinstance(holder, dict):
        return dict.get(holder, key) is value
    return key < len(holder) and holder[key] is value

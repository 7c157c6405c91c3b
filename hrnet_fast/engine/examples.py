"""What stands for a call's inputs where data are not read: shapes, and the sizes that a network is for."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

# An input of a network, or its shape
Example: TypeAlias = "Tensor | tuple[int, ...] | tuple[Example, ...] | list[Any] | None"


def is_shape(x: Any) -> bool:
    return _of_numbers(x) and all(type(side) is int and side >= 0 for side in x)


def inputs_of(example: Example) -> tuple[Any, ...]:
    """An example, which is an input, a shape or a tuple of these, as a call's inputs, without data."""
    if isinstance(example, tuple) and not _of_numbers(example):
        return without_data(example)
    return without_data((example,))


def without_data(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Inputs without data, for tensors and shapes. Raises TypeError for anything else but None."""

    def empty(leaf: Any) -> Tensor | None:
        if leaf is not None and not isinstance(leaf, Tensor) and not is_shape(leaf):
            told = str(leaf) if _of_numbers([leaf]) or _of_numbers(leaf) else f"a {type(leaf).__name__}"
            raise TypeError(f"an example holds tensors, shapes such as (1, 3, 256, 192) and None, not {told}")
        return leaf if leaf is None else torch.empty(getattr(leaf, "shape", leaf), device="meta")

    return tuple(pytree.tree_map(empty, x, is_leaf=_of_numbers) for x in inputs)


def _of_numbers(x: Any) -> bool:
    """Whether it is a shape, or was meant for one."""
    return isinstance(x, (tuple, list)) and len(x) > 0 and all(isinstance(side, (int, float)) for side in x)


def examples_of(model: nn.Module) -> list[tuple[Any, ...]]:
    """Inputs to plan for, the first one first: what a loaded network was saved for; for one HighResolutionModule, maps
    of its branches; else an image of the config's size."""
    if callable(saved := getattr(model, "saved_inputs", None)):
        return saved()
    branches: Any = getattr(model, "branches", None)
    if branches is not None and hasattr(model, "fuse_layers"):
        widths = [_channels(branch) for branch in branches]
        maps = [torch.empty(1, c, 64 >> b, 64 >> b, device="meta") for b, c in enumerate(widths) if c]
        if len(maps) == len(widths):
            return [(maps,)]
    size: Any = getattr(getattr(model, "config", None), "input_size", None)
    size = size if is_shape(size) and len(size) == 2 else (256, 256)
    return [(torch.empty(1, _channels(model) or 3, *size, device="meta"),)]


def _channels(model: nn.Module) -> int | None:
    """Those that its first convolution reads."""
    return next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)), None)

"""The traced network, one node an operation: what the module computes, before anything is merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Ref:
    """A value of the graph inside a call's arguments."""

    value: int


@dataclass(frozen=True)
class Param:
    """A parameter or buffer of the module, by its key, inside a call's arguments."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A tensor made of parameters and numbers alone, inside a call's arguments: by `call`, in which parameters stand as
    Param and other constants as the calls that make them. name: unlike that of any other constant."""

    name: str
    call: Call


def constant(call: Call) -> Constant:
    """A constant by the call that makes it."""
    return Constant(repr(call), call)


@dataclass(frozen=True)
class Norm:
    """Batch normalisation by running statistics: keys of its tensors (None for one that it lacks), and epsilon."""

    weight: str | None
    bias: str | None
    mean: str
    var: str
    eps: float


@dataclass(frozen=True)
class Resize:
    """Interpolation to `size` (height, width); `align_corners` matters to "bilinear" alone."""

    size: tuple[int, int]
    mode: str
    align_corners: bool = False

    @property
    def corners(self) -> bool | None:
        """`align_corners` as F.interpolate takes it."""
        return self.align_corners if self.mode == "bilinear" else None


@dataclass(frozen=True)
class Transposed:
    """What a transposed convolution was before it became an ordinary one: its stride, and its padding."""

    stride: int
    padding: tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """A convolution's weights by key, and its geometry.

    channels: where one convolution over concatenated maps was split into one a map, the range of input channels that
    this part covers; only the part that begins at 0 adds the bias.
    transposed: where it computes all pixels of a transposed convolution beside each other (`transposed.py`); weight and
    bias are that one's.
    """

    weight: str
    bias: str | None
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    channels: tuple[int, int] | None = None
    transposed: Transposed | None = None

    @property
    def pointwise(self) -> bool:
        return (*self.kernel, *self.stride, *self.padding, self.groups) == (1, 1, 1, 1, 0, 0, 1)


@dataclass(frozen=True)
class Call:
    """Any other pure torch function, kept as it was called; tensors stand as Ref, Param or Constant."""

    function: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Node:
    """One operation; its index in the graph is its value.

    op: input, conv, norm, relu, add, resize, concat, call. dtype: None for that of the maps; labels, masks and numbers
    that are made of these alone have their own, and calls alone read and make them.
    """

    op: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    detail: Norm | Resize | Convolution | Call | None = None
    dtype: torch.dtype | None = None


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of execution, which of them are the results, and how the results nest.

    read: keys of the parameters and buffers whose numbers the network asked for while it was traced.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_tree: Any
    read: tuple[str, ...] = field(default=(), compare=False)


def names_in(part: Any) -> Iterator[str]:
    """The keys of tensors that a plan or a graph, or a part of one, names."""
    if isinstance(part, Param):
        yield part.name
    elif isinstance(part, (Convolution, Norm)):
        keys = (part.weight, part.bias, *((part.mean, part.var) if isinstance(part, Norm) else ()))
        yield from (key for key in keys if key is not None)
    elif is_dataclass(part):
        for each in fields(part):
            yield from names_in(getattr(part, each.name))
    elif isinstance(part, (tuple, list)):
        for one in part:
            yield from names_in(one)

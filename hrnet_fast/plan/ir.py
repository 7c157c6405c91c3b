"""The Plan: what every executor plays. Plain frozen data, without tensors and without a device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch

from .graph import Call, Convolution, Norm, Resize

Relu = Literal["none", "last", "first"]


@dataclass(frozen=True)
class Value:
    """A map, or any other tensor, that flows between items.

    shape: logical, (N, C, H, W) for maps. dtype: None for the one that an executor computes in; labels, masks and
    numbers that are made of these alone have their own, and functions alone read and make them.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None = None


@dataclass(frozen=True)
class Term:
    """A summand or part: a value, interpolated on the way if `resize` is given."""

    value: int
    resize: Resize | None = None


@dataclass(frozen=True)
class Conv:
    """One convolution with its prologue and its whole epilogue.

    sources: what it convolves: one value, or the sum of several (interpolated) terms, after a ReLU if `source_relu`,
    formed while it is read.
    relu: "last" for relu(conv + bias + terms), "first" for relu(conv + bias) + terms, or "none".
    """

    name: str
    out: int
    sources: tuple[Term, ...]
    conv: Convolution
    norm: Norm | None = None
    source_relu: bool = False
    terms: tuple[Term, ...] = ()
    relu: Relu = "none"

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(term.value for term in (*self.sources, *self.terms))

    @property
    def has_prologue(self) -> bool:
        return len(self.sources) > 1 or self.source_relu or self.sources[0].resize is not None


@dataclass(frozen=True)
class Sum:
    """out = sum of the (interpolated) terms, left to right, with an optional ReLU; of one term: a resize or a ReLU."""

    name: str
    out: int
    terms: tuple[Term, ...]
    relu: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(term.value for term in self.terms)


@dataclass(frozen=True)
class Concat:
    """out = the (interpolated) parts beside each other along the channels."""

    name: str
    out: int
    parts: tuple[Term, ...]

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(part.value for part in self.parts)


@dataclass(frozen=True)
class Function:
    """Any other torch function, followed by functions that only view its result.

    Arguments name values of the plan; in a view, `Ref(PREVIOUS)` is the result before it.
    """

    name: str
    out: int
    calls: tuple[Call, ...]
    reads: tuple[int, ...]


PREVIOUS = -1

Item = Conv | Sum | Concat | Function


@dataclass(frozen=True)
class Level:
    """Items without a dependency among them: one launch.

    Filled by `annotate`: flops (two a multiply-add) and bytes (weights, reads and writes, each once) of what it
    computes, the time in microseconds that the machine's roofline allows the kernels that play it, which executor that
    is, and why that one.
    """

    items: tuple[Item, ...]
    flops: int = 0
    bytes: int = 0
    roofline_us: float = 0.0
    executor: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """Levels in the order of execution.

    values: by index; inputs, outputs: indices into it.
    output_tree: how the results nest. dtype, machine: what the levels' bytes and times were reckoned for. map_bytes: of
    the arenas in which the executor keeps maps; None without any.
    """

    name: str
    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    levels: tuple[Level, ...]
    output_tree: Any
    dtype: str = ""
    machine: str = ""
    map_bytes: int | None = None

    @cached_property
    def digest(self) -> str:
        """Twelve characters that differ for plans that do anything else."""
        does = (self.values, self.inputs, self.outputs, [level.items for level in self.levels])
        return hashlib.sha256(repr(does).encode()).hexdigest()[:12]

    def items(self) -> Iterator[Item]:
        for level in self.levels:
            yield from level.items

    def __str__(self) -> str:
        from .describe import format_plan

        return format_plan(self)

"""Kernels by measurement: each shape's candidates are timed in turns, with weights that no core's cache holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median
from typing import Any

import torch

from ...plan import Conv, Level, Plan, Term, Value
from ...plan.graph import Convolution
from ..tuning.duel import Duel, duel
from .choices import Choice, Choices, Shape, candidates, default_kernel, shapes_of
from .kernels import Kernel
from .pack import Packed
from .program import CpuProgram

POOL = 1 << 24  # floats of weights that are walked through: those of a network of 17 million parameters
SHORTEST = 2e-3  # seconds a timing of a shape
LONGER = 5e-2  # and of a network
HEATS = 5  # timings of each candidate, before the best one meets the default


@dataclass(frozen=True)
class Tuned:
    """What tuning found for one shape: the kernel, and the microseconds of one convolution beside the default's."""

    choice: Kernel
    time: float
    default: Kernel
    default_time: float

    def as_entry(self) -> dict[str, Any]:
        """For the cache: readable, and back by `choices.from_entry`."""
        return {"kernel": asdict(self.choice), "us": round(self.time, 2),
                "default": asdict(self.default), "default_us": round(self.default_time, 2)}  # fmt: skip


class Tuning(dict[str, Tuned]):
    """What tuning a plan found, by shape. network: the plan with the kernels of before against those found, in
    microseconds; None where they are the same."""

    network: Duel | None = None

    @property
    def kept(self) -> bool:
        """Whether what was found is in the cache: not where it would slow the network down."""
        return self.network is None or self.network.gained


class Pool:
    """Weights that lie in memory one after another, and how far whoever is timed has come."""

    def __init__(self, size: int):
        self.weights = torch.rand(size).sub_(0.5)
        self.position = 0


class Walk:
    """One kernel of a shape, from weights to weights of a pool: every timing begins where the last one ended."""

    def __init__(self, shape: Shape, kernel: Kernel, lanes: int, isa: str, pool: Pool):
        self.pool, self.size = pool, weight_floats(shape, kernel, lanes)
        self.copies = pool.weights.numel() // self.size
        outputs = ceil(shape.out[1] / lanes) * lanes
        packed = (Packed(weights, torch.zeros(outputs)) for weights in pool.weights.split(self.size))
        self.program = CpuProgram(plan_of(shape, self.copies), lambda _: kernel, lambda *_: next(packed), {}, None, isa)
        self.buffers = self.program.new_buffers()
        for x in self.buffers.tensors:
            x.uniform_(-1.0, 1.0)
        self.at_once = 1
        self()  # deals the work out to the threads
        self.at_once = min(self.copies, ceil(SHORTEST / (self() * 1e-6)))

    def __call__(self) -> float:
        """Microseconds of one convolution."""
        begin = ceil(self.pool.position / self.size)
        if begin + self.at_once > self.copies:
            begin = 0
        start = time.perf_counter()
        self.program.play(self.buffers, begin, begin + self.at_once)
        took = time.perf_counter() - start
        self.pool.position = (begin + self.at_once) * self.size
        return took / self.at_once * 1e6


def weight_floats(shape: Shape, kernel: Kernel, lanes: int) -> int:
    """Floats of a shape's packed weights, see `pack`."""
    positions = (kernel.m + 2) ** 2 if kernel.m else 9
    return positions * shape.inputs * ceil(shape.out[1] / lanes) * lanes


def plan_of(shape: Shape, copies: int) -> Plan:
    """A plan that convolves the same map over and over, into the same one, a level each."""
    n, _, height, width = shape.out
    values = (Value((n, shape.inputs, height, width)), Value(shape.out))
    conv = Conv("conv", 1, (Term(0),), Convolution("", None, (3, 3), (1, 1), (1, 1), (1, 1), 1), relu="last")
    return Plan("copies", values, (0,), (1,), (Level((conv,)),) * copies, 0, None, None)


def tune_shape(shape: Shape, default: Kernel, lanes: int, isa: str) -> Tuned:
    """The fastest kernel of a shape on as many threads as torch uses now; the default unless another one clearly is."""
    tried = candidates(shape, default)
    pool = Pool(max(POOL, 2 * max(weight_floats(shape, kernel, lanes) for kernel in tried)))
    walks = {kernel: Walk(shape, kernel, lanes, isa, pool) for kernel in tried}
    heats = [{kernel: walk() for kernel, walk in walks.items()} for _ in range(HEATS)]
    times = {kernel: median(heat[kernel] for heat in heats) for kernel in tried}
    best = min(tried, key=times.__getitem__)
    result = duel(walks[default], walks[best])
    if best != default and result.gained:
        return Tuned(best, result.new, default, result.old)
    return Tuned(default, result.old, default, result.old)


def tune_plan(
    plan: Plan, choices: Choices, isa: str, program_of: Callable[[Plan, Callable[[Conv], Choice]], CpuProgram],
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Tuning:  # fmt: skip
    """Measures the shapes of a plan that the cache lacks, and then the plan: what is found is cached if that gains.

    program_of: the program of a plan with choices. progress: wraps what is measured, e.g. in a progress bar. Raises
    RuntimeError for a plan without any such shape.
    """
    shape_of, found = shapes_of(plan, choices.exact), Tuning()
    items = {shape_of(item): item for item in plan.items() if isinstance(item, Conv)}
    items.pop(None, None)
    if not items:
        raise RuntimeError("there is nothing to tune: no convolution of this network is 3x3 of stride 1")
    missing = [shape for shape in items if choices.measured(shape) is None]
    if not missing:
        return found
    steps = iter(progress([*map(str, missing), "the whole network"]))
    for shape in missing:
        next(steps, None)
        default = default_kernel(items[shape], shape, choices.lanes)
        found[shape.signature] = tune_shape(shape, default, choices.lanes, isa)
    next(steps, None)
    if any(tuned.choice != tuned.default for tuned in found.values()):
        before = choices.of(plan)

        def after(item: Conv) -> Choice:
            shape = shape_of(item)
            return Choice(found[shape.signature].choice) if shape in missing else before(item)

        found.network = duel(_clock(program_of(plan, before)), _clock(program_of(plan, after)))
    if found.kept:
        for signature, tuned in found.items():
            choices.cache.put(choices.key, "kernels", signature, tuned.as_entry())
    next(steps, None)
    return found


def _clock(program: CpuProgram) -> Callable[[], float]:
    """Microseconds of a call, as the mean of several."""
    inputs = [torch.rand(program.plan.values[value].shape) for value in program.plan.inputs]

    def mean(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            program.run(inputs)
        return (time.perf_counter() - start) / calls

    mean(1)  # makes the buffers
    calls = ceil(LONGER / mean(1))
    return lambda: mean(calls) * 1e6

"""Kernels by measurement: each shape's candidates are timed in turns, with weights that no core's cache holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

import torch

from ...plan import Conv, Level, Plan, Term, Value
from ...plan.graph import Convolution
from ..tuning.duel import Duel, duel
from ..tuning.found import Tuning
from .choices import Choices, candidates, shapes_of
from .compiled import CompiledPlan
from .conv_kernels import Kernel, Shape, fours, plain
from .pack import Packed, words_of_tap
from .pages import flat

POOL = 1 << 24  # words of weights that are walked through: those of a network of 17 million parameters
SHORTEST = 1e-3  # seconds that a shape is played
LONGER = 5e-2  # seconds that a network is played for one timing
PLAYS = 3  # for one timing, which is the shortest of them: what interrupts one of them does not count
HEATS = 5  # timings of each candidate, before the best one meets that of before


@dataclass(frozen=True)
class TunedKernel:
    """What tuning found for one shape: its kernel and that of before, with the microseconds of one convolution."""

    choice: Kernel
    time: float
    before: Kernel
    before_time: float

    def as_entry(self) -> dict[str, Any]:
        return {"kernel": self.choice.as_entry(), "us": round(self.time, 2),
                "before": self.before.as_entry(), "before_us": round(self.before_time, 2)}  # fmt: skip


class KernelTuning(Tuning[TunedKernel]):
    """What tuning a plan found, by shape. network: the plan with the kernels of before against those found, in
    microseconds; None where they are the same."""

    network: Duel | None = None

    @property
    def kept(self) -> bool:
        """Whether what was found is in the cache: not where it would slow the network down."""
        return self.network is None or self.network.gained


class Pool:
    """Weights that lie in memory one after another, and how far whoever is timed has come."""

    def __init__(self, size: int, dtype: torch.dtype = torch.float32):
        self.weights = flat(size, dtype).uniform_(-0.5, 0.5)
        self.position = 0


class Walk:
    """One kernel of a shape, from weights to weights of a pool: it is played on from where whoever came last ended."""

    def __init__(self, shape: Shape, kernel: Kernel, lanes: int, isa: str, pool: Pool):
        self.pool, self.size = pool, weight_elements(shape, kernel, lanes)
        self.copies = pool.weights.numel() // self.size
        bias, as_is = flat(ceil(shape.out[1] / lanes) * lanes), plain(kernel, shape.words, shape.out[1])
        packed = (Packed(weights, bias, as_is) for weights in pool.weights.split(self.size))
        self.compiled = CompiledPlan(
            plan_of(shape, self.copies), lambda _: kernel, lambda *_: next(packed), None, None, isa
        )
        self.buffers = self.compiled.new_buffers()
        for x in self.buffers.tensors:
            x.uniform_(-1.0, 1.0)
        self.at_once = 1
        self._play()  # deals the work out to the threads
        self.at_once = min(self.copies, ceil(SHORTEST / (self() * 1e-6)))

    def __call__(self) -> float:
        """Microseconds of one convolution."""
        return min(self._play() for _ in range(PLAYS)) * 1e6

    def _play(self) -> float:
        begin = ceil(self.pool.position / self.size)
        if begin + self.at_once > self.copies:
            begin = 0
        start = time.perf_counter()
        self.compiled.play(self.buffers, begin, begin + self.at_once)
        took = time.perf_counter() - start
        self.pool.position = (begin + self.at_once) * self.size
        return took / self.at_once


def weight_elements(shape: Shape, kernel: Kernel, lanes: int) -> int:
    """Elements of a shape's packed weights, see `pack`."""
    outputs, words = shape.out[1], shape.words
    taps = 9 if plain(kernel, words, outputs) else (kernel.m + 2) ** 2
    if not kernel.m:
        taps, words = 3, ceil(3 * shape.inputs / shape.per_word)  # rows of pixels, which are joined
    ends_in_fours = fours(kernel, shape.words, outputs, lanes, taps)
    return taps * words_of_tap(words, ceil(outputs / lanes), lanes, ends_in_fours) * shape.per_word


def plan_of(shape: Shape, copies: int) -> Plan:
    """A plan that convolves the same map over and over, into the same one, a level each."""
    n, _, height, width = shape.out
    values = (Value((n, shape.inputs, height, width)), Value(shape.out))
    conv = Conv("conv", 1, (Term(0),), Convolution("", None, (3, 3), (1, 1), (1, 1), (1, 1), 1), relu="last")
    return Plan("copies", values, (0,), (1,), (Level((conv,)),) * copies, None)


def tune_shape(shape: Shape, before: Kernel, lanes: int, isa: str) -> TunedKernel:
    """The fastest kernel of a shape on as many threads as torch uses now; `before` unless another one clearly is."""
    tried = candidates(shape, before, lanes)
    most = max(weight_elements(shape, kernel, lanes) for kernel in tried)
    pool = Pool(max(POOL * shape.per_word, 2 * most), torch.float32 if shape.per_word == 1 else torch.bfloat16)
    walks = {kernel: Walk(shape, kernel, lanes, isa, pool) for kernel in tried}
    heats = [{kernel: walk() for kernel, walk in walks.items()} for _ in range(HEATS)]
    times = {kernel: median(heat[kernel] for heat in heats) for kernel in tried}
    best = min(tried, key=times.__getitem__)
    result = duel(walks[before], walks[best])
    if best != before and result.gained:
        return TunedKernel(best, result.new, before, result.old)
    return TunedKernel(before, result.old, before, result.old)


def tune_plan(
    plan: Plan, choices: Choices, isa: str, compile_plan: Callable[[Plan, Callable[[Conv], Kernel]], CompiledPlan],
    progress: Callable[[list[Any]], Iterable[Any]] = iter, again: bool = False,
) -> KernelTuning:  # fmt: skip
    """Measures the shapes of a plan that the cache lacks, and then the plan: what is found is cached if that gains.

    compile_plan: a plan with these kernels. progress: wraps what is measured, e.g. in a progress bar. again:
    whatever the cache has, which a clear gain replaces. Raises RuntimeError for a plan without any such shape.
    """
    shape_of, found = shapes_of(plan, choices.exact, choices.per_word), KernelTuning()
    convs = [item for item in plan.items() if isinstance(item, Conv)]
    items = {shape: item for item in convs if (shape := shape_of(item)) is not None}
    if not items:
        raise RuntimeError("there is nothing to tune: no convolution of this network is 3x3 of stride 1")
    missing = [shape for shape in items if again or choices.measured(shape) is None]
    if not missing:
        return found
    before = choices.of(plan)
    after: dict[Shape, Kernel] = {}
    steps = iter(progress([*map(str, missing), "the whole network"]))
    for shape in missing:
        next(steps, None)
        tuned = tune_shape(shape, before(items[shape]), choices.lanes, isa)
        found[shape.signature], after[shape] = tuned, tuned.choice
    next(steps, None)
    if any(tuned.choice != tuned.before for tuned in found.values()):

        def now(item: Conv) -> Kernel:
            shape = shape_of(item)
            return before(item) if shape is None else after.get(shape) or before(item)

        found.network = duel(_clock(compile_plan(plan, before)), _clock(compile_plan(plan, now)))
    if found.kept:
        for signature, tuned in found.items():
            choices.cache.put(choices.key, "kernels", signature, tuned.as_entry())
    next(steps, None)
    return found


def _clock(compiled: CompiledPlan) -> Callable[[], float]:
    """Microseconds of a call, the shortest of several."""
    inputs = [
        torch.rand(compiled.plan.values[value].shape, dtype=torch.float32, device="cpu")
        for value in compiled.plan.inputs
    ]

    def once() -> float:
        start = time.perf_counter()
        compiled.run(inputs)
        return time.perf_counter() - start

    once()  # makes the buffers
    calls = max(PLAYS, ceil(LONGER / once()))
    return lambda: min(once() for _ in range(calls)) * 1e6

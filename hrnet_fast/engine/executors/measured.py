"""Whichever executor is fastest for a shape: each is built, checked against float64 and timed once, then one stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...plan import Level, Plan
from ...testing import TOLERANCE_FACTOR, relative_l2
from ..gpu.program import GpuProgram
from ..gpu.timing import isolated
from ..results import empty_result
from .reference import ReferenceExecutor, Watch

Run = Callable[[Sequence[Tensor]], list[Tensor]]
Clock = Callable[[Callable[[], object]], float]


class Candidate(Protocol):
    """What takes part: any executor."""

    name: str

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run: ...

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]: ...


@dataclass(frozen=True)
class Verdict:
    """What the measurement of one plan found. times: microseconds a run, by name; refused: why not, by name."""

    winner: str
    times: Mapping[str, float]
    refused: Mapping[str, str]

    def __str__(self) -> str:
        times = ", ".join(f"{name} {time:.0f} us" for name, time in sorted(self.times.items(), key=lambda t: t[1]))
        refused = "".join(f"; {name} refused: {why}" for name, why in self.refused.items())
        return f"fastest of {times}{refused}"


class TorchTape:
    """A plan by plain torch operations: with batch norm folded, and no more than that."""

    def __init__(self, plan: Plan, executor: ReferenceExecutor):
        self.plan, self.executor, self.device = plan, executor, executor.device
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def load(self, inputs: Sequence[Tensor]) -> None:
        if not self.inputs:
            self.inputs = [_room(x, self.executor.dtype) for x in inputs]
        for own, x in zip(self.inputs, inputs):
            own.copy_(x)

    def play(self) -> None:
        self.outputs = self.executor.run(self.plan, self.inputs)

    def results(self) -> list[Tensor]:
        return self.outputs


class TorchExecutor(ReferenceExecutor):
    """The reference executor in a CUDA graph: what remains where nothing faster is right."""

    name = "torch"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        """A function from inputs to results, in the plan's order. watch: called with each item and its result."""
        if watch is not None:
            return super().prepare(plan, watch)
        return GpuProgram(TorchTape(plan, self), empty_result).run


class MeasuredExecutor:
    """Measures its candidates once for each plan, and plays it by the fastest one that is as exact as torch.

    tensors: the module's parameters and buffers by key. candidates: in the order of preference. clock: times a run.
    A candidate that fails to build or to run, or whose error against float64 is above twice that of torch's own
    operations, is refused; `verdict` tells why. Raises RuntimeError with all reasons where none is left.
    """

    name = "auto"
    max_plans = 16

    def __init__(
        self, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device,
        candidates: Sequence[Candidate], clock: Clock = isolated,
    ):  # fmt: skip
        self.tensors, self.dtype, self.device = tensors, dtype, device
        self.candidates, self.clock = {candidate.name: candidate for candidate in candidates}, clock
        self._verdicts: dict[tuple, Verdict] = {}

    def verdict(self, plan: Plan) -> Verdict:
        """What was found for a plan; it is measured now if it was not before."""
        if _key(plan) not in self._verdicts:
            self.prepare(plan)
        return self._verdicts[_key(plan)]

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        """(executor, reason) of a plan's level."""
        verdict = self.verdict(plan)
        name, reason = self.candidates[verdict.winner].explain(plan, level)
        return name, f"{reason}; {verdict}"

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        """A function from inputs to results, in the plan's order. watch: called with each item and its result."""
        known = self._verdicts.get(_key(plan))
        if watch is not None or known is not None:
            return self.candidates[(known or self.verdict(plan)).winner].prepare(plan, watch)
        inputs = [_random(plan.values[value].shape, self.dtype, self.device) for value in plan.inputs]
        exact = self._by_torch(plan, torch.float64, inputs)
        allowed = [
            TOLERANCE_FACTOR * relative_l2(own, want)
            for own, want in zip(self._by_torch(plan, self.dtype, inputs), exact)
        ]
        best, winner, times, refused = None, "", {}, {}
        for name, candidate in self.candidates.items():
            try:
                run = candidate.prepare(plan)
                errors = [relative_l2(given, want) for given, want in zip(run(inputs), exact)]
                too_far = next((e for e, limit in zip(errors, allowed) if not e <= limit), None)
                if too_far is not None:
                    refused[name] = f"its error {too_far:.1e} is above {max(allowed):.1e}, twice torch's own"
                    continue
                times[name] = self.clock(lambda run=run: run(inputs))
            except Exception as error:  # whatever goes wrong in one candidate, the next one may do
                refused[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
                continue
            if best is None or times[name] < times[winner]:
                best, winner = run, name
        if best is None:
            reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
            raise RuntimeError(f"no executor can play {plan.name} here ({reasons})")
        self._verdicts[_key(plan)] = Verdict(winner, times, refused)
        return best

    def _by_torch(self, plan: Plan, dtype: torch.dtype, inputs: Sequence[Tensor]) -> list[Tensor]:
        return ReferenceExecutor(self.tensors, dtype, self.device).run(plan, inputs)


def _key(plan: Plan) -> tuple:
    return (plan.name, *(plan.values[value].shape for value in plan.inputs))


def _random(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    generator = torch.Generator(device=device).manual_seed(0)
    return torch.randn(tuple(shape), generator=generator, device=device).to(dtype)


def _room(like: Tensor, dtype: torch.dtype) -> Tensor:
    layout = torch.channels_last if like.dim() == 4 else torch.contiguous_format
    return torch.empty_like(like, dtype=dtype, memory_format=layout)

"""Whichever executor is fastest for a shape: candidates are measured once for each plan, then one of them plays it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...plan import Item, Level, Plan
from ..executor import Executor


@dataclass(frozen=True)
class Verdict:
    """What the measurement of one plan found. times: microseconds a run, by name; refused: why not, by name."""

    winner: str
    times: Mapping[str, float]
    refused: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        times = ", ".join(f"{name} {time:.0f} us" for name, time in sorted(self.times.items(), key=lambda t: t[1]))
        refused = "".join(f"; {name} refused: {why}" for name, why in self.refused.items())
        return f"fastest of {times}{refused}"


class FastestExecutor(Executor):
    """Plays each plan by one of its candidates. A new one defines `prepare`, which adds the verdict of a new plan.

    candidates: by the names that `explain` shows.
    """

    name = "auto"

    def __init__(self, candidates: Mapping[str, Executor]):
        self.candidates = dict(candidates)
        self._verdicts: dict[str, Verdict] = {}

    def verdict(self, plan: Plan) -> Verdict:
        """What was found for a plan; it is measured now if it was not before."""
        signature = self._signature(plan)
        if signature not in self._verdicts:
            self.prepare(plan)
        return self._verdicts[signature]

    def winner(self, plan: Plan) -> Executor:
        """Who plays a plan."""
        return self.candidates[self.verdict(plan).winner]

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        name, reason = self.winner(plan).explain(plan, level)
        return name, f"{reason}; {self.verdict(plan)}"

    def map_bytes(self, plan: Plan) -> int | None:
        return self.winner(plan).map_bytes(plan)

    def cost(self, plan: Plan, item: Item) -> tuple[int, int]:
        return self.winner(plan).cost(plan, item)

    def forget(self, plan: Plan) -> None:
        """Measure this plan again when it is next prepared."""
        self._verdicts.pop(self._signature(plan), None)

    def _let_losers_go(self) -> None:
        """Of what they keep: weights are packed anew in the next contest, and do not lie about until then."""
        winners = {verdict.winner for verdict in self._verdicts.values()}
        for name, candidate in self.candidates.items():
            if name not in winners:
                candidate.release()

    @staticmethod
    def _nobody_plays(plan: Plan, refused: Mapping[str, str]) -> RuntimeError:
        reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
        return RuntimeError(f"no executor can play {plan.name} here ({reasons})")

    def _signature(self, plan: Plan) -> str:
        """The plan and the dtype as text."""
        shapes = " ".join("x".join(map(str, plan.values[value].shape)) for value in plan.inputs)
        return f"{plan.name} {shapes} {str(self.dtype).removeprefix('torch.')} {plan.digest}"

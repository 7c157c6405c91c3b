"""Tiles by measurement: a level's candidates are timed as nodes of a CUDA graph, and the fastest is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from hrnet_fast.kernels.level import Tile

from ...plan import Level, Plan
from .layout import Memory
from .lower import Lowering, TileChoice, convolutions, problem
from .tiles import Gpu, Problem, candidates, program_time, stages
from .timing import within_a_graph

TRIED = 6  # tiles an item that are timed, the best by the model
ROUNDS = 2  # over a level's items, since each one's best tile depends on the others'


@dataclass(frozen=True)
class Tuned:
    """What tuning one level found: the choice, its time, and that of the model's choice, in microseconds."""

    choice: TileChoice
    time: float
    model_time: float


def as_entry(tuned: Tuned) -> dict[str, Any]:
    """For the cache: readable, and back by `from_entry`."""
    return {"tiles": [asdict(tile) for tile in tuned.choice.tiles], "stages": tuned.choice.stages,
            "us": round(tuned.time, 3), "model_us": round(tuned.model_time, 3)}  # fmt: skip


def from_entry(entry: dict[str, Any] | None, problems: Sequence[Problem], gpu: Gpu) -> TileChoice | None:
    """The choice that an entry holds; None where it does not fit the problems."""
    try:
        choice = TileChoice(tuple(Tile(**tile) for tile in entry["tiles"]), int(entry["stages"]))
    except (TypeError, KeyError, ValueError):
        return None
    fits = len(choice.tiles) == len(problems) and 2 <= choice.stages <= 6
    return choice if fits and all(t in candidates(p, gpu) for t, p in zip(choice.tiles, problems)) else None


def tune_level(
    level: Level, plan: Plan, memory: Memory, lowering: Lowering, start: TileChoice, gpu: Gpu,
    clock: Callable[[Callable[[], None]], float] = within_a_graph,
) -> Tuned:  # fmt: skip
    """Improves a level's tiles one item after another, from the model's choice on. clock: microseconds of a step."""
    problems = [problem(item, plan, lowering.dtype, lowering.precision) for item in convolutions(level, plan)]
    known: dict[TileChoice, float] = {}

    def time(choice: TileChoice) -> float:
        if choice not in known:
            try:
                known[choice] = clock(lowering.step(level, plan, memory, choice, False))
            except (RuntimeError, torch.cuda.OutOfMemoryError):  # a tile that this GPU cannot hold
                known[choice] = float("inf")
        return known[choice]

    best = start
    for _ in range(ROUNDS):
        before = best
        for index, own in enumerate(problems):
            for tile in likely(own, gpu):
                tiles = (*best.tiles[:index], tile, *best.tiles[index + 1 :])
                best = min(best, TileChoice(tiles, stages(tiles, own.itemsize, gpu)), key=time)
        for depth in (3, 4, 5):
            best = min(best, replace(best, stages=depth), key=time)
        if best == before:
            break
    return Tuned(best, time(best), time(start))


def likely(own: Problem, gpu: Gpu) -> list[Tile]:
    """The tiles with the shortest programs on a GPU that others fill, by the model."""
    return sorted(candidates(own, gpu), key=lambda tile: program_time(own, tile, gpu, gpu.places // 2))[:TRIED]

"""What tuning tries of the Triton kernel's tiles, and choices as the cache keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hrnet_fast.kernels.level import Tile

from .gpu import Gpu
from .triton_lower import TileChoice
from .triton_tiles import Problem, candidates, program_time, stages
from .tune import Variation

TRIED = 6  # tiles an item that are timed, the best by the model
DEPTHS = (3, 4, 5)  # steps in flight


def from_entry(entry: dict[str, Any] | None, problems: Sequence[Problem], gpu: Gpu) -> TileChoice | None:
    """The choice that an entry holds; None where it does not fit the problems."""
    if entry is None:
        return None
    try:
        choice = TileChoice(tuple(Tile(**tile) for tile in entry["tiles"]), int(entry["stages"]))
    except (TypeError, KeyError, ValueError):
        return None
    fits = len(choice.tiles) == len(problems) and 2 <= choice.stages <= 6
    return choice if fits and all(t in candidates(p, gpu) for t, p in zip(choice.tiles, problems)) else None


def variations(problems: Sequence[Problem], gpu: Gpu) -> list[Variation]:
    """Another tile of one item, each with the steps in flight that it leaves room for; and other steps in flight."""

    def tile_of(index: int) -> Variation:
        def vary(choice: TileChoice) -> Iterator[TileChoice]:
            for tile in likely(problems[index], gpu):
                tiles = (*choice.tiles[:index], tile, *choice.tiles[index + 1 :])
                yield TileChoice(tiles, stages(tiles, problems[index].itemsize, gpu))

        return vary

    def depth(choice: TileChoice) -> Iterator[TileChoice]:
        yield from (replace(choice, stages=own) for own in DEPTHS)

    return [*map(tile_of, range(len(problems))), depth]


def likely(own: Problem, gpu: Gpu) -> list[Tile]:
    """The tiles with the shortest programs on a GPU that others fill, by the model."""
    return sorted(candidates(own, gpu), key=lambda tile: program_time(own, tile, gpu, gpu.places // 2))[:TRIED]

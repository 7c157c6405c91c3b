"""What tuning tries of the CUDA level kernel's tiles, and choices as the cache keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from hrnet_fast.kernels.cuda_level import CudaTile, level_digest

from .cuda_chain_problem import ChainTile
from .cuda_lower import CudaChoice
from .cuda_tiles import RESIDENT, Problem, Tile, frontier, most_shared, possible
from .gpu import Gpu
from .tune import Variation

TRIED = 4  # tiles an item of each list by the model that are timed


def from_entry(entry: dict[str, Any] | None, problems: Sequence[Problem], gpu: Gpu) -> CudaChoice | None:
    """The choice that an entry holds; None where it was measured with another kernel, or does not fit the problems."""
    if entry is None:
        return None
    try:
        if entry["kernel"] != level_digest()[:12]:
            return None
        tiles = tuple(_tile(each) for each in entry["tiles"])
    except (TypeError, KeyError, ValueError):
        return None
    fits = len(tiles) == len(problems) and all(t in _possible(p, gpu) for t, p in zip(tiles, problems))
    return CudaChoice(tiles) if fits else None


def _tile(entry: Any) -> Tile:
    return ChainTile(tuple(map(_step, entry))) if isinstance(entry, list) else _step(entry)


def _step(entry: dict[str, Any]) -> CudaTile:
    return CudaTile(**{**entry, "warps": tuple(entry["warps"])})


@lru_cache(maxsize=4096)
def _possible(problem: Problem, gpu: Gpu) -> frozenset[Tile]:
    return frozenset(possible(problem, gpu, most_shared(gpu, 1)))


def variations(problems: Sequence[Problem], gpu: Gpu) -> list[Variation]:
    """Another tile of one item."""

    def tile_of(index: int) -> Variation:
        def vary(choice: CudaChoice) -> Iterator[CudaChoice]:
            for tile in likely(problems[index], gpu):
                yield CudaChoice((*choice.tiles[:index], tile, *choice.tiles[index + 1 :]))

        return vary

    return [tile_of(index) for index in range(len(problems))]


def likely(problem: Problem, gpu: Gpu) -> list[Tile]:
    """By the model those of short CTAs, of little work, and some in between; for one and for two CTAs that share a
    multiprocessor, among few others and among as many as the GPU holds."""
    found: dict[Tile, None] = {}
    for resident in (RESIDENT, 1):
        places = gpu.multiprocessors * resident
        for running in (places // 4, places):
            tiles = [tile for _, tile in frontier(problem, gpu, resident, running)]
            count = min(TRIED, len(tiles))
            found |= dict.fromkeys(tiles[round(i * (len(tiles) - 1) / max(1, count - 1))] for i in range(count))
    return list(found)

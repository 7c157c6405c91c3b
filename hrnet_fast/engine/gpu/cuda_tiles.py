"""Which tile each convolution of a level gets on the CUDA level kernel, from a model of the GPU.

The launch gives every CTA as much shared memory as the hungriest needs: so the tiles of a level are chosen together,
once for one CTA a multiprocessor and once for two. As with Triton's tiles, what counts is when the last CTA ends: at
batch 1 that is the longest CTA, at large batches the sum of all work. There a CTA may keep its weights and compute
several tiles, whose pixels come while the tile before is multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from .cuda_chain_problem import ChainTile
from .cuda_problem import CudaProblem, CudaTile
from .gpu import Gpu

RESERVED = 1024  # bytes of shared memory that the driver keeps of each CTA
RESIDENT = 2  # CTAs that a multiprocessor's registers hold

Tile = CudaTile | ChainTile


class Problem(Protocol):
    """A convolution, or a chain of them, as `CudaProblem` and `ChainProblem` tell it of tiles of their own kind."""

    def __hash__(self) -> int: ...

    @property
    def moved(self) -> int: ...

    @property
    def formed(self) -> bool: ...

    def grid(self, tile: Any) -> int: ...

    def shared_bytes(self, tile: Any) -> int: ...

    def candidates(self, most: int) -> tuple[Tile, ...]: ...

    def in_groups(self, tile: Any) -> Tile | None: ...

    def cta_time(self, tile: Any, gpu: Gpu, running: int) -> float: ...


def most_shared(gpu: Gpu, resident: int) -> int:
    """Shared memory that each of `resident` CTAs on a multiprocessor may have."""
    return gpu.shared_memory // resident - RESERVED


def level_time(problems: Sequence[Problem], tiles: Sequence[Tile], gpu: Gpu) -> float:
    """Nanoseconds from the first CTA's start to the last one's end."""
    resident = resident_of(problems, tiles, gpu)
    grids, places = [p.grid(t) for p, t in zip(problems, tiles)], gpu.multiprocessors * resident
    running = min(places, sum(grids))
    times = [p.cta_time(t, gpu, running) for p, t in zip(problems, tiles)]
    moved = sum(problem.moved for problem in problems)
    memory = moved / gpu.memory_rate if moved > gpu.l2 else 0.0
    return max(*times, memory, sum(time * grid for time, grid in zip(times, grids)) / places)


def resident_of(problems: Sequence[Problem], tiles: Sequence[Tile], gpu: Gpu) -> int:
    """CTAs that share a multiprocessor, which the hungriest convolution decides."""
    most = max((p.shared_bytes(t) for p, t in zip(problems, tiles)), default=0)
    return RESIDENT if most <= most_shared(gpu, RESIDENT) else 1


@lru_cache(maxsize=4096)
def choose(problems: tuple[Problem, ...], gpu: Gpu) -> tuple[Tile, ...]:
    """A tile for each convolution of a level.

    For a bound on every CTA's time, each takes the tile that asks least of the multiprocessors within it; of all
    bounds, the one that ends the level first.
    """
    if not problems:
        return ()
    best = float("inf")
    found: tuple[Tile, ...] = ()
    for tiles in _bounded(problems, gpu):
        time = level_time(problems, tiles, gpu)
        if time < best:
            best, found = time, tiles
    return found


def _bounded(problems: Sequence[Problem], gpu: Gpu) -> Iterator[tuple[Tile, ...]]:
    """Tiles for every bound, of which some are among the best."""
    for resident in (RESIDENT, 1):
        places = gpu.multiprocessors * resident
        for running in (places // 4, places):
            options = [frontier(problem, gpu, resident, running) for problem in problems]
            if not all(options):
                continue
            fastest = max(own[0][0] for own in options)
            for bound in sorted({time for own in options for time, _ in own if time >= fastest}):
                yield tuple(next(tile for time, tile in reversed(own) if time <= bound) for own in options)


@lru_cache(maxsize=4096)
def frontier(problem: Problem, gpu: Gpu, resident: int, running: int) -> tuple[tuple[float, Tile], ...]:
    """(time of a CTA, tile), the fastest first: each next one is slower, and asks less of the multiprocessors.

    resident: CTAs that share a multiprocessor; running: beside this one, in all.
    """
    tiles = possible(problem, gpu, most_shared(gpu, resident))
    timed = sorted(((problem.cta_time(tile, gpu, running), index) for index, tile in enumerate(tiles)))
    kept, least = [], float("inf")
    for time, index in timed:
        work = time * problem.grid(tiles[index])
        if work < least:
            least = work
            kept.append((time, tiles[index]))
    return tuple(kept)


@lru_cache(maxsize=16)  # of one level: thousands of tiles each
def possible(problem: Problem, gpu: Gpu, most: int) -> tuple[Tile, ...]:
    """The candidates, by warpgroups too where the kernel has them.

    A source that no tile can form at once in all of the shared memory is formed by a sum of its own.
    """
    tiles = problem.candidates(most)
    if not tiles and isinstance(problem, CudaProblem) and problem.formed and most == most_shared(gpu, 1):
        tiles = replace(problem, formed=False).candidates(most)
    if gpu.warpgroups:
        tiles += tuple(filter(None, map(problem.in_groups, tiles)))
    return tiles

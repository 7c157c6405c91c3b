"""What a chain of convolutions asks of the CUDA level kernel, as cuda_problem.py has it for one.

A chain's CTA computes all channels of its tile, and of the maps in between what the next step reads: with margins that
its neighbours compute as well. It reads all weights, by chunks, and its source once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

from hrnet_fast.kernels.cuda_level import MOST_STAGES, WARP_COLUMNS, WARP_ROWS, WARPS, CudaTile

from .cuda_problem import (
    CHUNK,
    EPILOGUE,
    FILL,
    GRANULE,
    LATENCY,
    PLACE,
    SHARED_RATE,
    SHARES,
    CudaProblem,
    round16,
    shares,
)
from .gpu import Gpu

BUDGETS = (8 << 10, 16 << 10, 32 << 10, 80 << 10)  # bytes of weights that are loaded together
LEAVE = 150.0  # nanoseconds from a step's last product to the next one's first: an estimate


@dataclass(frozen=True)
class ChainTile:
    """A tile for each step: those before the last are what the next one reads."""

    steps: tuple[CudaTile, ...]

    @property
    def height(self) -> int:
        return self.steps[-1].height

    @property
    def width(self) -> int:
        return self.steps[-1].width

    def __str__(self) -> str:
        return ">".join(map(str, self.steps))


@dataclass(frozen=True)
class ChainProblem:
    """A chain of convolutions. kept: whether its first term is its source, which stays in shared memory; loaded:
    whether that is another map of the output's size."""

    steps: tuple[CudaProblem, ...]
    kept: bool = False
    loaded: bool = False
    formed = False

    @property
    def moved(self) -> int:
        """Bytes of the maps that are read and written, each once."""
        first, last = replace(self.steps[0], channels=0), replace(self.steps[-1], in_channels=0, early=self.loaded)
        return first.moved + last.moved

    def grid(self, tile: ChainTile) -> int:
        last = self.steps[-1]
        return last.batch * -(-last.height // tile.height) * -(-last.width // tile.width)

    def shared_bytes(self, tile: ChainTile) -> int:
        """Shared memory of a CTA, as the kernel divides it among the steps."""
        steps = list(zip(self.steps, tile.steps))
        (first, begin), (last, end), stages = steps[0], steps[-1], tile.steps[0].stages
        tables = PLACE + sum(
            round16(t.chunk // p.values * p.kernel**2 * 4) + round16(t.channels * _passes(p, t) * 4) for p, t in steps
        )
        weights = stages * max(t.channels * t.chunk // p.values * p.kernel**2 * GRANULE for p, t in steps)
        chunks = first.chunks(begin)
        slots = chunks if self.kept else min(stages, chunks)
        loaded = slots * first.halo(begin) * (begin.chunk // first.values | 1) * GRANULE
        left = [p.halo(t) * (p.in_channels // p.values | 1) * GRANULE for p, t in steps[1:]]
        pitch = end.channels if end.channels % 16 else end.channels + 8
        sums = end.warps[2] * end.warps[0] * WARP_ROWS * pitch * 4
        third = left[1] if len(left) == 2 else 0
        before = loaded if self.kept else 0  # what partial sums must not take the place of
        loaded = loaded + third if self.kept else max(loaded, third)
        if _passes(last, end) == 1:
            return tables + max(loaded + left[0] + weights, before + sums)
        if len(left) == 2:
            return tables + loaded + max(left[0], sums) + weights
        return tables + loaded + left[0] + weights + sums

    def candidates(self, most: int) -> tuple[ChainTile, ...]:
        """The tiles worth a thought whose shared memory is at most `most`."""
        return tuple(tile for tile, size in _candidates(self) if size <= most)

    def in_groups(self, tile: ChainTile) -> ChainTile | None:
        """The same with those steps by warpgroups that can be; None if there are none."""
        steps = tuple(own.in_groups(step) or step for own, step in zip(self.steps, tile.steps))
        return None if steps == tile.steps else ChainTile(steps)

    def cta_time(self, tile: ChainTile, gpu: Gpu, running: int) -> float:
        """Nanoseconds that one CTA takes beside others, `running` in all."""
        beside, rate = shares(gpu, running)
        steps, size = list(zip(self.steps, tile.steps)), self.steps[0].itemsize
        (first, begin), (last, end) = steps[0], steps[-1]
        pieces, stages, passes = self._pieces(tile.steps), begin.stages, _passes(last, end)
        again = 1 if self.kept or first.chunks(begin) <= stages else _passes(first, begin)
        read = first.halo(begin) * first.in_channels * again
        read += sum(t.channels * _passes(p, t) * p.in_channels * p.kernel**2 for p, t in steps)
        written = end.height * end.width * last.channels
        loading = read * size / rate
        if pieces > stages:
            loading = max(loading, (pieces - stages) * LATENCY / (stages - 1))
        products = sum(p.products_time(t, gpu, beside) * _passes(p, t) for p, t in steps)
        left = sum(2 * t.height * t.width * p.channels * size for p, t in steps[:-1]) / SHARED_RATE * beside
        (m, _, k) = end.warps
        summed = passes * (k + 1) * m * WARP_ROWS * end.channels * 4 / SHARED_RATE * beside
        stored = written * size / rate
        added = passes * LATENCY + written * size / rate if self.loaded else 0.0
        waits = pieces * CHUNK + (len(steps) - 1) * LEAVE + passes * EPILOGUE
        return FILL + max(loading, products) + min(loading, products) / pieces + left + summed + added + stored + waits

    def _pieces(self, tiles: tuple[CudaTile, ...]) -> int:
        """Chunks of weights that a CTA loads."""
        return sum(_passes(step, tile) * step.chunks(tile) for step, tile in zip(self.steps, tiles))

    def _shapes(self) -> list[tuple[int, int]]:
        """(height, width) of the last step's tile that fill the warps of some step, even over the image."""
        last, found = self.steps[-1], set()
        for width in (8, 16, 32, last.width):
            if width != 8 and width // 2 >= last.width:
                continue
            for step, warps in product(range(len(self.steps)), (1, 2, 4, 8)):
                most = min(last.height, warps * WARP_ROWS)
                fits = [h for h in range(1, most + 1) if self._area(step, h, width) <= warps * WARP_ROWS]
                if fits:
                    found.add((-(-last.height // -(-last.height // max(fits))), width))
        return sorted(found)

    def _area(self, step: int, height: int, width: int) -> int:
        """Pixels that a step leaves for a tile of the last one."""
        for each in reversed(self.steps[step + 1 :]):
            height, width = ((side - 1) * each.stride + each.kernel for side in (height, width))
        return height * width

    def _warps(self, height: int, width: int) -> Iterator[list[tuple[Any, ...]]]:
        """(height, width, warps, columns) for each step; the last one's warps have several choices."""
        before: list[tuple[Any, ...]] = []
        last, side = self.steps[-1], (height, width)
        for next_step, step in zip(self.steps[:0:-1], self.steps[-2::-1]):
            high, wide = ((s - 1) * next_step.stride + next_step.kernel for s in side)
            side = (high, wide)
            m = next((m for m in (1, 2, 4, 8) if m * WARP_ROWS >= side[0] * side[1]), None)
            if m is None:
                return
            n = WARPS // m
            columns = next((c for c in WARP_COLUMNS if c * n >= step.channels), WARP_COLUMNS[-1])
            before.insert(0, (*side, (m, n, 1), columns))
        for warps, columns in product(SHARES, WARP_COLUMNS):
            m, n, _ = warps
            idle = (n - 1) * columns >= last.channels or (columns > 16 and columns - 16 >= last.channels)
            if not idle and m * WARP_ROWS >= height * width > m // 2 * WARP_ROWS:
                yield [*before, (height, width, warps, columns)]

    def _chunks(self, shape: list[tuple[Any, ...]], budget: int) -> tuple[int, ...]:
        """Input channels of each step that are loaded together: as many as weigh at most `budget`, or two granules."""
        found = []
        for step, (_, _, warps, columns) in zip(self.steps, shape):
            unit = 2 * step.values
            weight = warps[1] * columns * step.kernel**2 * step.itemsize
            parts = -(-step.in_channels // max(unit, budget // weight // unit * unit))
            found.append(min(step.in_channels, -(-step.in_channels // parts // unit) * unit))
        return tuple(found)


@lru_cache(maxsize=256)
def _candidates(problem: ChainProblem) -> tuple[tuple[ChainTile, int], ...]:
    """The tiles worth a thought, each with its shared memory."""
    found = []
    for height, width in problem._shapes():
        for shape in problem._warps(height, width):
            loads = {problem._chunks(shape, budget) for budget in BUDGETS}
            for chunks, stages in product(sorted(loads), range(2, MOST_STAGES + 1)):
                tiles = tuple(
                    CudaTile(h, w, warps, columns, chunk, stages)
                    for (h, w, warps, columns), chunk in zip(shape, chunks)
                )
                if stages <= problem._pieces(tiles):
                    found.append(ChainTile(tiles))
    return tuple((tile, problem.shared_bytes(tile)) for tile in found)


def _passes(problem: CudaProblem, tile: CudaTile) -> int:
    """How often a step goes over its source: once for so many output channels."""
    return -(-problem.channels // tile.channels)

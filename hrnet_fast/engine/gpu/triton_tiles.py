"""Which tile each item of a level gets on the Triton kernel: from a model of the GPU, unless one was measured.

All items of a level share the GPU, so they are chosen together: what counts is when the last program ends. At batch 1
that is the longest program, so deep products (K in the thousands) are shared among many; at large batches it is the sum
of all work over all multiprocessors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from hrnet_fast.kernels.level import Tile

from .gpu import Gpu

ROWS, COLUMNS, STEPS, SPLITS = (64, 128), (16, 32, 64, 128), (32, 64), (1, 2, 4, 8, 16)
# Elements of a tile that four warps hold in registers without spilling, found by compiling with Triton 3.6 and 3.9: of
# 16-bit maps on sm_90 whose K is not shared and to which nothing interpolated is added; of others; of float32 maps; of
# those whose K is shared and whose products are float32's own.
LARGEST, LARGEST_BUSY, LARGEST_FLOAT, LARGEST_EXACT = 64 * 128, 64 * 64, 64 * 32, 64 * 16


@dataclass(frozen=True)
class Problem:
    """A convolution as a matrix product: output pixels, output channels (padded), and K; bytes of an element; whether
    its products are float32's own (no tensor core); whether it forms its input while it reads; whether anything that is
    interpolated is added to it."""

    pixels: int
    channels: int
    k: int
    itemsize: int = 2
    exact: bool = False
    formed: bool = False
    resized: bool = False

    def grid(self, tile: Tile) -> int:
        return -(-self.pixels // tile.rows) * -(-self.channels // tile.columns) * tile.split

    def traffic(self, tile: Tile) -> int:
        """Elements that all programs read, and twice those that they leave for each other."""
        tiles = self.grid(tile) // tile.split
        parts = 4 * tile.rows * tile.columns * tile.split if tile.split > 1 else 0
        return tiles * ((tile.rows + tile.columns) * self.k + parts)


# Times of a program's parts in nanoseconds (a step of 32 and of 64 along K): estimates, to be replaced by measurements.
FILL, STEP, EPILOGUE, REDUCE = 750.0, {32: 55.0, 64: 75.0}, 400.0, 900.0


def candidates(problem: Problem, gpu: Gpu) -> list[Tile]:
    """The tiles worth a thought: no wider than the problem, no share of K empty, room in registers and for 3 stages."""
    found = []
    small = problem.exact or problem.formed  # many values in registers besides the tile
    steps, splits = STEPS[:1] if small else STEPS, SPLITS[:1] if problem.formed else SPLITS
    for rows, columns, step, shares in product(ROWS, COLUMNS, steps, splits):
        too_wide = columns > 16 and columns // 2 >= problem.channels
        too_tall = rows > ROWS[0] and (rows // 2 >= problem.pixels or small)
        idle = (shares - 1) * step >= problem.k or (step > STEPS[0] and step >= 2 * problem.k)
        roomy = shares == 1 and not problem.resized and gpu.capability >= 90
        most = LARGEST_FLOAT if problem.itemsize == 4 else LARGEST if roomy else LARGEST_BUSY
        most = LARGEST_EXACT if problem.exact and shares > 1 else most
        too_big = rows * columns > most or 3 * (rows + columns) * step * problem.itemsize > gpu.shared_memory
        if not (too_wide or too_tall or idle or too_big):
            found.append(Tile(rows, columns, step, shares))
    return found


def program_time(problem: Problem, tile: Tile, gpu: Gpu, running: int) -> float:
    """Nanoseconds that one program takes beside others, `running` in all."""
    rate = min(gpu.own_rate, gpu.shared_rate / running)
    steps = -(-problem.k // (tile.step * tile.split))
    moved = (tile.rows + tile.columns) * tile.step * problem.itemsize / rate
    busy = gpu.programs if running > gpu.multiprocessors else 1
    multiplied = 2 * tile.rows * tile.columns * tile.step * busy / _matrix_rate(problem, gpu)
    time = FILL + steps * max(STEP[tile.step], moved, multiplied) + EPILOGUE
    if tile.split > 1:
        time += REDUCE + tile.split * tile.rows * tile.columns * 4 / rate
    return time


def _matrix_rate(problem: Problem, gpu: Gpu) -> float:
    """Operations a nanosecond of one multiprocessor: TF32 at half of the 16-bit rate, exact float32 without tensor
    cores."""
    return gpu.matrix_rate * (1.0 if problem.itemsize == 2 else 0.06 if problem.exact else 0.5)


def level_time(problems: Sequence[Problem], tiles: Sequence[Tile], gpu: Gpu) -> float:
    """Nanoseconds from the first program's start to the last one's end."""
    grids = [p.grid(t) for p, t in zip(problems, tiles)]
    running = min(gpu.places, sum(grids))
    times = [program_time(p, t, gpu, running) for p, t in zip(problems, tiles)]
    return max(*times, sum(time * grid for time, grid in zip(times, grids)) / gpu.places)


@lru_cache(maxsize=4096)
def choose(problems: tuple[Problem, ...], gpu: Gpu) -> tuple[Tile, ...]:
    """A tile for each problem of a level.

    For a bound on every program's time, each item takes the tile that moves the fewest bytes within it; of all bounds,
    the one that ends the level first.
    """
    best = float("inf")
    found: tuple[Tile, ...] = ()
    for running in (gpu.places // 4, gpu.places // 2, gpu.places):
        options = []
        for problem in problems:
            tiles = candidates(problem, gpu)
            timed = [(program_time(problem, t, gpu, running), problem.traffic(t), t) for t in tiles]
            options.append(sorted(timed, key=lambda option: option[:2]))
        fastest = max(option[0][0] for option in options)
        bounds = sorted({time for option in options for time, _, _ in option if time >= fastest})
        for bound in bounds:
            tiles = [min((o for o in own if o[0] <= bound), key=lambda o: o[1:2] + o[:1])[2] for own in options]
            time = level_time(problems, tiles, gpu)
            if time < best:
                best, found = time, tuple(tiles)
    return found


def stages(tiles: Sequence[Tile], itemsize: int, gpu: Gpu) -> int:
    """Steps in flight: as many as let `gpu.programs` programs share a multiprocessor, between 2 and 5."""
    largest = max((t.rows + t.columns) * t.step * itemsize for t in tiles)
    return max(2, min(5, gpu.shared_memory // gpu.programs // largest))

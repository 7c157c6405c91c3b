"""Which tile each convolution of a level gets on the CUDA level kernel, from a model of the GPU.

A CTA keeps a halo tile and weights in shared memory, and the launch gives every CTA what the hungriest needs: so the
tiles of a level are chosen together, once for one CTA a multiprocessor and once for two. As with Triton's tiles, what
counts is when the last CTA ends: at batch 1 that is the longest CTA, at large batches the sum of all work. There a CTA
may keep its weights and compute several tiles, whose pixels come while the tile before is multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, singledispatch
from itertools import product

from hrnet_fast.kernels.cuda_level import MOST_STAGES, WARP_COLUMNS, WARP_ROWS, CudaTile

from .gpu import Gpu

# how eight warps share pixels, output channels and K
SHARES = ((1, 1, 8), (2, 1, 4), (1, 2, 4), (4, 1, 2), (2, 2, 2), (1, 4, 2), (8, 1, 1), (4, 2, 1), (2, 4, 1), (1, 8, 1))
PLACE = 32  # bytes of shared memory that tell a CTA what it computes
RESERVED = 1024  # bytes of shared memory that the driver keeps of each CTA
RESIDENT = 2  # CTAs that a multiprocessor's registers hold
GRANULE = 16  # bytes of channels at one tap; a step along K is two
# Nanoseconds and bytes a nanosecond: estimates, to be replaced by measurements. A step is what one warp takes alone.
FILL, STEP, CHUNK, EPILOGUE, SHARED_RATE = 600.0, 30.0, 20.0, 350.0, 225.0
LATENCY = 600.0  # from asking for a chunk to having it
CONFLICTS = 1.25  # of a tile whose width is no multiple of 8
FEWEST_CTAS = 32  # of a slice of channels of a convolution whose CTAs compute several tiles
GROUP_STEP = 60.0  # what a warpgroup takes alone
ROUNDS = (2, 3, 4, 6, 8, 12, 16, 24, 32)  # tiles of a CTA whose weights stay


@dataclass(frozen=True)
class CudaProblem:
    """A convolution. height, width: of its output. channels, in_channels: padded. early: whether its first term needs
    no resizing, and is fetched ahead; formed: whether it forms its source while it reads."""

    batch: int
    height: int
    width: int
    channels: int
    in_channels: int
    kernel: int
    stride: int
    itemsize: int = 2
    early: bool = False
    formed: bool = False

    @property
    def values(self) -> int:
        """Channels of a granule."""
        return GRANULE // self.itemsize

    def grid(self, tile: CudaTile) -> int:
        return -(-self.tiles(tile) // tile.rounds) * -(-self.channels // tile.channels)

    @property
    def moved(self) -> int:
        """Bytes of the maps that are read and written, each once."""
        own = self.height * self.width * self.channels * (2 if self.early else 1)
        return self.batch * self.itemsize * (own + self.height * self.width * self.stride**2 * self.in_channels)

    def tiles(self, tile: CudaTile) -> int:
        """Of the same weights."""
        return self.batch * -(-self.height // tile.height) * -(-self.width // tile.width)

    def chunks(self, tile: CudaTile) -> int:
        return -(-self.in_channels // tile.chunk)

    def steps(self, tile: CudaTile) -> int:
        """Along K, those that a chunk's odd last granule wastes included."""
        return self.chunks(tile) * -(-tile.chunk // self.values * self.kernel**2 // 2)

    def halo(self, tile: CudaTile) -> int:
        """Input pixels of a tile."""
        height, width = ((side - 1) * self.stride + self.kernel for side in (tile.height, tile.width))
        return height * width


@singledispatch
def shared_bytes(problem: CudaProblem, tile: CudaTile) -> int:
    """Shared memory of a CTA, as conv_layouts of csrc/cuda/device/conv_layout.h divides it."""
    granules, taps, columns = tile.chunk // problem.values, problem.kernel**2, tile.channels
    halo, weights = problem.halo(tile) * (granules | 1) * GRANULE, columns * granules * taps * GRANULE
    pitch = columns if columns % 16 else columns + 8
    sums = tile.warps[2] * tile.warps[0] * WARP_ROWS * pitch * 4
    early = tile.height * tile.width * columns * problem.itemsize if problem.early else 0
    fixed = PLACE + round16(granules * taps * 4) + round16(columns * 4)
    if tile.rounds > 1:
        return fixed + 2 * (early + halo) + weights + sums
    return fixed + early + max(tile.stages * (halo + weights), sums)


def most_shared(gpu: Gpu, resident: int) -> int:
    """Shared memory that each of `resident` CTAs on a multiprocessor may have."""
    return gpu.shared_memory // resident - RESERVED


@singledispatch
def candidates(problem: CudaProblem, most: int) -> tuple[CudaTile, ...]:
    """The tiles worth a thought whose shared memory is at most `most`: no warp without pixels or channels."""
    found = []
    for warps, columns in product(SHARES, WARP_COLUMNS):
        if (warps[1] - 1) * columns >= problem.channels or (columns > 16 and columns - 16 >= problem.channels):
            continue
        if warps[0] > 1 and warps[0] // 2 * WARP_ROWS >= problem.height * problem.width:
            continue
        for (height, width), (chunk, stages) in product(_shapes(problem, warps[0] * WARP_ROWS), _loads(problem)):
            tile = CudaTile(height, width, warps, columns, chunk, stages)
            found.extend(each for each in (tile, *_in_rounds(problem, tile)) if shared_bytes(problem, each) <= most)
    return tuple(found)


def _in_rounds(problem: CudaProblem, tile: CudaTile) -> Iterator[CudaTile]:
    """The same by CTAs that compute several, where that leaves every multiprocessor something to do."""
    if tile.stages == 1 and not problem.formed:
        yield from (replace(tile, rounds=r) for r in ROUNDS if problem.tiles(tile) >= r * FEWEST_CTAS)


def _shapes(problem: CudaProblem, pixels: int) -> list[tuple[int, int]]:
    """(height, width) of tiles: as even over the image as whole tiles allow, widths multiples of 8 or the image's."""
    found = set()
    for width in (8, 16, 32, problem.width):
        if width <= pixels and (width == 8 or width // 2 < problem.width):
            most = min(pixels // width, problem.height)
            found.add((-(-problem.height // -(-problem.height // most)), width))
    return sorted(found)


def _loads(problem: CudaProblem) -> list[tuple[int, int]]:
    """(chunk, stages): all channels asked for at once, in one to four parts; or a few at a time, which a convolution
    that forms its source cannot have."""
    unit, channels = 2 * problem.values, problem.in_channels
    found = {min(channels, -(-channels // (parts * unit)) * unit) for parts in range(1, MOST_STAGES + 1)}
    at_once = {(chunk, -(-channels // chunk)) for chunk in found}
    if problem.formed:
        return sorted(at_once)
    parts = {(unit * size, stages) for size in (1, 2, 4) for stages in (2, 3, 4) if unit * size * stages < channels}
    return sorted(at_once | parts)


@singledispatch
def cta_time(problem: CudaProblem, tile: CudaTile, gpu: Gpu, running: int) -> float:
    """Nanoseconds that one CTA takes beside others, `running` in all."""
    beside, rate = shares(gpu, running)
    (m, _, k), columns, size = tile.warps, tile.channels, problem.itemsize
    weights = columns * problem.kernel**2 * problem.in_channels * size / rate
    pixels = problem.halo(tile) * problem.in_channels * size / rate
    pixels += tile.height * tile.width * columns * size / rate if problem.early else 0.0
    loading = weights + pixels
    chunks = problem.chunks(tile)
    if chunks > tile.stages:
        loading = max(loading, (chunks - tile.stages) * LATENCY / (tile.stages - 1))
    products = products_time(problem, tile, gpu, beside)
    summed = (k + 1) * m * WARP_ROWS * columns * 4 / SHARED_RATE * beside
    stored = tile.height * tile.width * columns * size / rate
    if tile.rounds > 1:
        return FILL + loading + tile.rounds * max(pixels, products + summed + stored + EPILOGUE)
    return FILL + max(loading, products) + min(loading, products) / chunks + chunks * CHUNK + summed + stored + EPILOGUE


def shares(gpu: Gpu, running: int) -> tuple[float, float]:
    """CTAs on a multiprocessor, and bytes a nanosecond that each gets."""
    beside = max(1.0, running / gpu.multiprocessors)
    return beside, min(gpu.own_rate / beside, gpu.shared_rate / running)


def products_time(problem: CudaProblem, tile: CudaTile, gpu: Gpu, beside: float) -> float:
    """Nanoseconds that the products of a CTA take: on tensor cores, from shared memory, or step after step."""
    (m, n, k), steps = tile.warps, problem.steps(tile)
    step, rate, weights = STEP, gpu.matrix_rate, tile.columns
    if tile.grouped:
        step, rate, weights = GROUP_STEP, gpu.group_rate, tile.columns / 2  # read twice for four warps
    else:
        m = min(m, -(-tile.height * tile.width // WARP_ROWS))  # warps without pixels multiply nothing
    operations = 2 * m * WARP_ROWS * tile.channels * steps * 2 * problem.values
    matrices = operations / (rate * (1.0 if problem.itemsize == 2 else 0.5))
    fetched = steps * m * n * (WARP_ROWS + weights) * 2 * GRANULE / SHARED_RATE
    fetched *= 1.0 if tile.width % 8 == 0 else CONFLICTS
    return max(matrices * beside, fetched * beside, -(-steps // k) * step)


def level_time(problems: Sequence[CudaProblem], tiles: Sequence[CudaTile], gpu: Gpu) -> float:
    """Nanoseconds from the first CTA's start to the last one's end."""
    resident = resident_of(problems, tiles, gpu)
    grids, places = [p.grid(t) for p, t in zip(problems, tiles)], gpu.multiprocessors * resident
    running = min(places, sum(grids))
    times = [cta_time(p, t, gpu, running) for p, t in zip(problems, tiles)]
    moved = sum(problem.moved for problem in problems)
    memory = moved / gpu.memory_rate if moved > gpu.l2 else 0.0
    return max(*times, memory, sum(time * grid for time, grid in zip(times, grids)) / places)


def resident_of(problems: Sequence[CudaProblem], tiles: Sequence[CudaTile], gpu: Gpu) -> int:
    """CTAs that share a multiprocessor, which the hungriest convolution decides."""
    most = max((shared_bytes(p, t) for p, t in zip(problems, tiles)), default=0)
    return RESIDENT if most <= most_shared(gpu, RESIDENT) else 1


@lru_cache(maxsize=4096)
def choose(problems: tuple[CudaProblem, ...], gpu: Gpu) -> tuple[CudaTile, ...]:
    """A tile for each convolution of a level.

    For a bound on every CTA's time, each takes the tile that asks least of the multiprocessors within it; of all
    bounds, the one that ends the level first.
    """
    if not problems:
        return ()
    best, found = float("inf"), ()
    for tiles in _bounded(problems, gpu):
        time = level_time(problems, tiles, gpu)
        if time < best:
            best, found = time, tiles
    return found


def _bounded(problems: Sequence[CudaProblem], gpu: Gpu) -> Iterator[tuple[CudaTile, ...]]:
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
def frontier(problem: CudaProblem, gpu: Gpu, resident: int, running: int) -> tuple[tuple[float, CudaTile], ...]:
    """(time of a CTA, tile), the fastest first: each next one is slower, and asks less of the multiprocessors.

    resident: CTAs that share a multiprocessor; running: beside this one, in all.
    """
    tiles = possible(problem, gpu, most_shared(gpu, resident))
    timed = sorted(((cta_time(problem, tile, gpu, running), index) for index, tile in enumerate(tiles)))
    kept, least = [], float("inf")
    for time, index in timed:
        work = time * problem.grid(tiles[index])
        if work < least:
            least = work
            kept.append((time, tiles[index]))
    return tuple(kept)


def possible(problem: CudaProblem, gpu: Gpu, most: int) -> tuple[CudaTile, ...]:
    """The candidates, by warpgroups too where the kernel has them.

    A source that no tile can form at once in all of the shared memory is formed by a sum of its own.
    """
    tiles = candidates(problem, most)
    if not tiles and problem.formed and most == most_shared(gpu, 1):
        tiles = candidates(replace(problem, formed=False), most)
    if gpu.warpgroups:
        tiles += tuple(filter(None, map(in_groups, tiles)))
    return tiles


@singledispatch
def in_groups(tile: CudaTile) -> CudaTile | None:
    """The same by warpgroups; None where no four warps share output channels and turns along K."""
    return replace(tile, grouped=True) if tile.warps[0] % 4 == 0 else None


def round16(size: int) -> int:
    return -(-size // 16) * 16

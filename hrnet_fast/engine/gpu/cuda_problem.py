"""What a convolution asks of the CUDA level kernel: the tiles worth a thought, what each needs and how long its CTA
takes, from a model of the GPU. A CTA keeps a halo tile and weights in shared memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from hrnet_fast.kernels.cuda_level import MOST_STAGES, WARP_COLUMNS, WARP_ROWS, CudaTile

from .gpu import Gpu

# how eight warps share pixels, output channels and K
SHARES = ((1, 1, 8), (2, 1, 4), (1, 2, 4), (4, 1, 2), (2, 2, 2), (1, 4, 2), (8, 1, 1), (4, 2, 1), (2, 4, 1), (1, 8, 1))
PLACE = 32  # bytes of shared memory that tell a CTA what it computes
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

    def shared_bytes(self, tile: CudaTile) -> int:
        """Shared memory of a CTA, as conv_layouts of csrc/cuda/device/conv_layout.h divides it."""
        granules, taps, columns = tile.chunk // self.values, self.kernel**2, tile.channels
        halo, weights = self.halo(tile) * (granules | 1) * GRANULE, columns * granules * taps * GRANULE
        pitch = columns if columns % 16 else columns + 8
        sums = tile.warps[2] * tile.warps[0] * WARP_ROWS * pitch * 4
        early = tile.height * tile.width * columns * self.itemsize if self.early else 0
        fixed = PLACE + round16(granules * taps * 4) + round16(columns * 4)
        if tile.rounds > 1:
            return fixed + 2 * (early + halo) + weights + sums
        return fixed + early + max(tile.stages * (halo + weights), sums)

    def candidates(self, most: int) -> tuple[CudaTile, ...]:
        """The tiles worth a thought whose shared memory is at most `most`: no warp without pixels or channels."""
        found: list[CudaTile] = []
        for warps, columns in product(SHARES, WARP_COLUMNS):
            if (warps[1] - 1) * columns >= self.channels or (columns > 16 and columns - 16 >= self.channels):
                continue
            if warps[0] > 1 and warps[0] // 2 * WARP_ROWS >= self.height * self.width:
                continue
            for (height, width), (chunk, stages) in product(self._shapes(warps[0] * WARP_ROWS), self._loads()):
                tile = CudaTile(height, width, warps, columns, chunk, stages)
                found.extend(each for each in (tile, *self._in_rounds(tile)) if self.shared_bytes(each) <= most)
        return tuple(found)

    def in_groups(self, tile: CudaTile) -> CudaTile | None:
        """The same by warpgroups; None where no four warps share output channels and turns along K."""
        return replace(tile, grouped=True) if tile.warps[0] % 4 == 0 else None

    def cta_time(self, tile: CudaTile, gpu: Gpu, running: int) -> float:
        """Nanoseconds that one CTA takes beside others, `running` in all."""
        beside, rate = shares(gpu, running)
        (m, _, k), columns, size = tile.warps, tile.channels, self.itemsize
        weights = columns * self.kernel**2 * self.in_channels * size / rate
        pixels = self.halo(tile) * self.in_channels * size / rate
        pixels += tile.height * tile.width * columns * size / rate if self.early else 0.0
        loading = weights + pixels
        chunks = self.chunks(tile)
        if chunks > tile.stages:
            loading = max(loading, (chunks - tile.stages) * LATENCY / (tile.stages - 1))
        products = self.products_time(tile, gpu, beside)
        summed = (k + 1) * m * WARP_ROWS * columns * 4 / SHARED_RATE * beside
        stored = tile.height * tile.width * columns * size / rate
        if tile.rounds > 1:
            return FILL + loading + tile.rounds * max(pixels, products + summed + stored + EPILOGUE)
        overlapped = max(loading, products) + min(loading, products) / chunks
        return FILL + overlapped + chunks * CHUNK + summed + stored + EPILOGUE

    def products_time(self, tile: CudaTile, gpu: Gpu, beside: float) -> float:
        """Nanoseconds that the products of a CTA take: on tensor cores, from shared memory, or step after step."""
        (m, n, k), steps = tile.warps, self.steps(tile)
        step, rate, weights = STEP, gpu.matrix_rate, float(tile.columns)
        if tile.grouped:
            step, rate, weights = GROUP_STEP, gpu.group_rate, tile.columns / 2  # read twice for four warps
        else:
            m = min(m, -(-tile.height * tile.width // WARP_ROWS))  # warps without pixels multiply nothing
        operations = 2 * m * WARP_ROWS * tile.channels * steps * 2 * self.values
        matrices = operations / (rate * (1.0 if self.itemsize == 2 else 0.5))
        fetched = steps * m * n * (WARP_ROWS + weights) * 2 * GRANULE / SHARED_RATE
        fetched *= 1.0 if tile.width % 8 == 0 else CONFLICTS
        return max(matrices * beside, fetched * beside, -(-steps // k) * step)

    def _in_rounds(self, tile: CudaTile) -> Iterator[CudaTile]:
        """The same by CTAs that compute several, where that leaves every multiprocessor something to do."""
        if tile.stages == 1 and not self.formed:
            yield from (replace(tile, rounds=r) for r in ROUNDS if self.tiles(tile) >= r * FEWEST_CTAS)

    def _shapes(self, pixels: int) -> list[tuple[int, int]]:
        """(height, width) of tiles: as even over the image as whole tiles allow, widths multiples of 8 or the image's
        own."""
        found = set()
        for width in (8, 16, 32, self.width):
            if width <= pixels and (width == 8 or width // 2 < self.width):
                most = min(pixels // width, self.height)
                found.add((-(-self.height // -(-self.height // most)), width))
        return sorted(found)

    def _loads(self) -> list[tuple[int, int]]:
        """(chunk, stages): all channels asked for at once, in one to four parts; or a few at a time, which a
        convolution that forms its source cannot have."""
        unit, channels = 2 * self.values, self.in_channels
        found = {min(channels, -(-channels // (parts * unit)) * unit) for parts in range(1, MOST_STAGES + 1)}
        at_once = {(chunk, -(-channels // chunk)) for chunk in found}
        if self.formed:
            return sorted(at_once)
        parts = {(unit * size, stages) for size in (1, 2, 4) for stages in (2, 3, 4) if unit * size * stages < channels}
        return sorted(at_once | parts)


def shares(gpu: Gpu, running: int) -> tuple[float, float]:
    """CTAs on a multiprocessor, and bytes a nanosecond that each gets."""
    beside = max(1.0, running / gpu.multiprocessors)
    return beside, min(gpu.own_rate / beside, gpu.shared_rate / running)


def round16(size: int) -> int:
    return -(-size // 16) * 16

"""Which kernel computes each convolution: direct, or one of Winograd's, from a model of the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

# Found by timing: floats that a core takes in from the caches that cores share while it does one vector multiply-add;
# and the multiply-adds that transforming a vector takes at each position, of a patch and of its products.
STREAM, PATCH, PRODUCT = 0.5, 13.0, 10.0
CACHED = 3 << 17  # floats of weights that stay in a core's second-level cache
DEEP, FEW = 32, 8  # convolutions; input channels


@dataclass(frozen=True)
class Kernel:
    """m: of Winograd's F(m x m, 3x3), 2 or 4; 0 for a direct convolution. group: tiles transformed together."""

    m: int = 0
    group: int = 0

    def __str__(self) -> str:
        return f"Winograd F({self.m}x{self.m})" if self.m else "direct"


DIRECT = Kernel()


def allowed(convolutions: int, inputs: int, exact: bool) -> tuple[int, ...]:
    """The m of F(m x m, 3x3) that keep a plan of so many convolutions within twice torch's own error.

    Of at least `FEW` input channels, a convolution by F(2x2) errs no more than torch's; one by F(4x4) two to four times
    as much, which a network's other layers outweigh, but a single layer would not.
    """
    return () if exact or inputs < FEW else (2, 4) if convolutions >= DEEP else (2,)


def choose(inputs: int, out: tuple[int, int, int, int], lanes: int, sizes: tuple[int, ...]) -> Kernel:
    """The kernel of a 3x3 convolution of stride 1 that ends first by the model.

    inputs: channels read; out: (N, C, H, W) written; sizes: what `allowed` allows.
    """
    kernels = (DIRECT, *(Kernel(m, group(m, inputs, out, lanes)) for m in sizes))
    return min(kernels, key=lambda kernel: work(kernel, inputs, out, lanes))


def tiles(m: int, out: tuple[int, int, int, int]) -> int:
    """Tiles of m x m that cover the maps of a result (N, C, H, W)."""
    return out[0] * -(-out[2] // m) * -(-out[3] // m)


def group(m: int, inputs: int, out: tuple[int, int, int, int], lanes: int) -> int:
    """Tiles transformed together: few, but enough of them for each reading of weights that no core's cache holds.

    About as many as the registers hold at once (`tile_pixels` in csrc/cpu/items/work.h), and every group alike.
    """
    cached = (m + 2) ** 2 * inputs * out[1] <= CACHED
    most = 48 if not cached else 16 if -(-out[1] // lanes) == 3 else 12
    count = tiles(m, out)
    even = ceil(count / ceil(count / most))
    return (even + 3) // 4 * 4


def work(kernel: Kernel, inputs: int, out: tuple[int, int, int, int], lanes: int) -> float:
    """Vector multiply-adds that a 3x3 convolution takes, or the time of as many."""
    vectors, m = -(-out[1] // lanes), kernel.m
    positions, count = ((m + 2) ** 2, tiles(m, out)) if m else (9, tiles(1, out))
    transforms = count * positions * (PATCH * -(-inputs // lanes) + PRODUCT * vectors) if m else 0.0
    weights = positions * inputs * vectors
    return transforms + max(weights * count, weights * lanes / STREAM)

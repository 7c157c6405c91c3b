"""One model over batches and sizes: checked at a small size, then optimized and timed at every point."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import median

import torch
from torch import nn

import hrnet_fast
from benchmarks.cases import DTYPES, Case
from benchmarks.compare import checked
from benchmarks.machine import OtherWork
from benchmarks.photo import photo
from benchmarks.sheet import Made, made
from hrnet_fast.plan.cost import multiply_adds
from hrnet_fast.timing import interleave

BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SMALL = (64, 96)  # where the numbers are checked
_CALLS = 3  # at least, of every point


@dataclass(frozen=True)
class Series:
    """A model at one size and many batches, or at many sizes: (height, width), one image a call."""

    model: str
    size: tuple[int, int]
    batches: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]

    def points(self, most: float = inf) -> Iterator[tuple[str, int, int, int]]:
        """(along what, batch, height, width). most: megapixels of a call."""
        every = [("batch", batch, *self.size) for batch in self.batches] + [("size", 1, *size) for size in self.sizes]
        for along, batch, height, width in every:
            if batch * height * width / 1e6 <= most:
                yield along, batch, height, width


# Twice as many pixels from one size to the next, about, and in between sizes that are no power of two.
SERIES = (
    Series(
        "hrnet_w32.pose_coco_256x192", (256, 192), BATCHES,
        ((64, 64), (128, 96), (256, 192), (384, 288), (416, 352), (512, 512), (608, 800), (512, 1024), (1024, 1024),
         (1024, 2048)),
    ),
    Series(
        "hrnet_w18_small.seg_cityscapes", (256, 512), BATCHES,
        ((64, 128), (128, 256), (256, 512), (352, 608), (512, 1024), (736, 1312), (1024, 2048)),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """along: "batch" or "size". optimize_s: seconds of `optimize` for this shape, first_s: of the first call.

    us: median of a call; gflop: of a call, by direct convolution. error, error_torch: relative L2 of the model against
    float64, where it was checked.
    """

    model: str
    dtype: str
    along: str
    batch: int
    size: str
    optimize_s: float
    first_s: float
    us: float
    samples: int
    gflop: float
    error: float
    error_torch: float
    made: Made

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return self.model, self.dtype, self.along, self.batch, self.size

    @property
    def us_per_image(self) -> float:
        return self.us / self.batch

    @property
    def rate(self) -> float:
        """GFLOP/s by direct convolution."""
        return 1e6 * self.gflop / self.us


def check(model: str, dtype: str) -> tuple[nn.Module, float, float]:
    """The model, its error and plain torch's at a small size. Errors: ValueError if it is wrong."""
    _, asked, error = checked(Case(model, *SMALL, 2, dtype))
    return asked.model, error, asked.error_torch


@torch.inference_mode()
def measure(
    name: str,
    model: nn.Module,
    errors: tuple[float, float],
    dtype: str,
    point: tuple[str, int, int, int],
    seconds: float,
) -> Point:
    """One point of a series. model: named so, in float32. errors: as `check` found them. seconds: of timing, about."""
    along, batch, height, width = point
    other, x = OtherWork(), photo(height, width, batch).to(DTYPES[dtype])
    start = time.perf_counter()
    fast = hrnet_fast.optimize(model, dtype=DTYPES[dtype], example=x)
    optimized = time.perf_counter()
    fast(x)
    first = time.perf_counter()
    samples = interleave({"": partial(fast, x)}, budget_s=seconds, min_rounds=_CALLS, calls_per_turn=5)[""].samples
    plan = fast.plan_for(x)
    gflop = 2e-9 * sum(multiply_adds(item, plan) for item in plan.items())
    return Point(
        name, dtype, along, batch, f"{height}x{width}", round(optimized - start, 3), round(first - optimized, 3),
        round(1e6 * median(samples), 1), len(samples), round(gflop, 3), *errors, made(other),
    )  # fmt: skip

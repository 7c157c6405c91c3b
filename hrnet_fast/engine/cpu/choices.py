"""The kernel of each convolution of a plan: as measured on this CPU, else by the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...plan import Conv, Plan
from ..tuning.cache import TuningCache
from .conv_kernels import DIRECT, Kernel, Shape, allowed, choose, group, tiles
from .cpu_key import CpuKey

GROUPS = (12, 24, 48, 96)  # tiles transformed together that are tried, beside as many as the model has
LARGEST = 1024  # such a group that is taken from a cache


class Choices:
    """What computes the convolutions of plans. A shape's kernel is chosen when it is first met and stays.

    lanes: floats in a vector. exact: direct convolutions alone. cache, key: where measured kernels are found.
    per_word: values of a word.
    """

    def __init__(self, lanes: int, exact: bool, cache: TuningCache, key: CpuKey, per_word: int = 1):
        self.lanes, self.per_word, self.exact, self.cache, self.key = lanes, per_word, exact, cache, key
        self._known: dict[Shape, Kernel] = {}

    def of(self, plan: Plan) -> Callable[[Conv], Kernel]:
        """The kernel of each convolution of a plan."""
        shape_of = shapes_of(plan, self.exact, self.per_word)

        def kernel(item: Conv) -> Kernel:
            shape = shape_of(item)
            if shape is None:
                return DIRECT
            if shape not in self._known:
                self._known[shape] = self.measured(shape) or choose(shape, self.lanes)
            return self._known[shape]

        return kernel

    def measured(self, shape: Shape) -> Kernel | None:
        """The kernel that the cache has for a shape, or None."""
        return from_entry(self.cache.get(self.key, "kernels", shape.signature), shape)


def shapes_of(plan: Plan, exact: bool, per_word: int = 1) -> Callable[[Conv], Shape | None]:
    """The shape of each convolution of a plan, or None where there is no choice of kernels."""
    count = sum(isinstance(item, Conv) for item in plan.items())

    def shape(item: Conv) -> Shape | None:
        conv = item.conv
        geometry = (conv.kernel, conv.stride, conv.padding, conv.dilation, conv.groups)
        plain = geometry == ((3, 3), (1, 1), (1, 1), (1, 1), 1)
        inputs, out = plan.values[item.sources[0].value].shape[1], plan.values[item.out].shape
        sizes = allowed(count, inputs, exact, per_word) if plain else ()
        return Shape(inputs, out, sizes, per_word) if sizes else None

    return shape


def candidates(shape: Shape, default: Kernel, lanes: int) -> list[Kernel]:
    """The kernels that compute a shape, the default first, each of them once: a group is never more than all tiles."""
    tried: dict[tuple[int, int], Kernel] = {(default.m, _plays(default, shape)): default, (0, 0): DIRECT}
    for m in shape.sizes:
        for count in (group(m, shape, lanes), *GROUPS):
            tried.setdefault((m, _plays(Kernel(m, count), shape)), Kernel(m, count))
    return list(tried.values())


def _plays(kernel: Kernel, shape: Shape) -> int:
    """Tiles that are really transformed together."""
    return min(kernel.group, tiles(kernel.m, shape.out)) if kernel.m else 0


def from_entry(entry: dict[str, Any] | None, shape: Shape) -> Kernel | None:
    """The kernel that an entry of the cache holds; None where it does not fit the shape."""
    parts = (entry or {}).get("kernel")
    if not isinstance(parts, dict) or set(parts) != {"m", "group"} or {type(part) for part in parts.values()} != {int}:
        return None
    kernel = Kernel(**parts, tuned=True)
    return kernel if kernel == DIRECT or (kernel.m in shape.sizes and 0 < kernel.group <= LARGEST) else None

"""A large batch as several small ones, whose maps stay in the caches and take less memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import ceil

from torch import Tensor

from ...plan import Conv, Function, Item, Plan
from ...plan.lifetimes import most_alive
from ..results import results_of
from .choices import Choices, shapes_of
from .compiled import CompiledPlan
from .conv_kernels import Kernel, weights
from .functions import function_kernel
from .prologues import with_prologues_as_sums

THREADS = 2  # at most, with which the time of an image was measured
WORD = 4  # bytes
SHARE = 1 / 2  # of the third-level cache, for the maps: weights pass through it too, and others use it


def images_at_once(plan: Plan, exact: bool, functions: bool, per_word: int = 1, cache: int | None = None) -> int:
    """Images of a micro-batch that take the least time an image on a few threads; 0 where the batch must stay whole.

    The weights are read once a micro-batch, and maps leave the caches as it grows: with weights W and maps M of an
    image, W / n + n M is least at sqrt(W / M), and no more maps are wanted than stay in the last cache. exact: direct
    convolutions alone. functions: whether the kernels play means and linear layers. per_word: values of a word, which
    takes as much memory as a float. cache: bytes of the third-level cache, None where they are not known.
    """
    batch = plan.values[plan.inputs[0]].shape[0]
    alike = all(value.shape[:1] == (batch,) for value in plan.values)
    if not alike or any(_may_mix(item, plan, functions) for item in plan.items()):
        return 0
    maps = max(1, most_alive(plan)) / (batch * per_word)  # of an image, in words as the weights
    images = (_weights(plan, exact, per_word) / maps) ** 0.5
    if cache is not None:
        images = min(images, SHARE * cache / (WORD * maps))
    return max(1, int(images))


def _may_mix(item: Item, plan: Plan, functions: bool) -> bool:
    """Whether images may depend on each other in an item, or what torch calls on their number, as in view(n, -1)."""
    if not isinstance(item, Function):
        return False
    known = function_kernel(item, plan) is not None
    return not known or (not functions and len(item.calls) > 1)


def _weights(plan: Plan, exact: bool, per_word: int) -> int:
    """Words of weights that a plan reads."""
    shape_of, count = shapes_of(plan, exact, per_word), 0
    for item in plan.items():
        if isinstance(item, Conv):
            shape, taps = shape_of(item), item.conv.kernel[0] * item.conv.kernel[1]
            inputs, outputs = (plan.values[v].shape[1] for v in (item.sources[0].value, item.out))
            words = ceil(inputs / per_word)
            count += weights(Kernel(max(shape.sizes)), words, outputs) if shape else words * outputs * taps
    return count


def split(batch: int, images: int) -> list[int]:
    """Sizes of micro-batches of about so many images that differ by one at most, the larger ones first."""
    count = max(1, round(batch / images)) if images else 1
    return [batch // count + (index < batch % count) for index in range(count)]


def with_batch(plan: Plan, batch: int) -> Plan:
    """A plan of the same items for another number of images."""
    return replace(plan, values=tuple(replace(value, shape=(batch, *value.shape[1:])) for value in plan.values))


class BatchInParts:
    """A plan, its batch in parts, and the kernels for them, which do not depend on how many threads play."""

    def __init__(self, plan: Plan, images: int, choices: Choices):
        self.whole, self.images = plan, images
        self._batch = plan.values[plan.inputs[0]].shape[0]
        self._summed = with_prologues_as_sums(plan)
        self.kernel_of = choices.of(self.plan(self.sizes()[0]))

    def plan(self, images: int) -> Plan:
        """What plays a part of so many images. In a batch that stays whole, a value may begin with another side."""
        return self._summed if images == self._batch else with_batch(self._summed, images)

    def sizes(self, threads: int = THREADS) -> list[int]:
        """Images of each part. More threads have more caches, and want more work at once."""
        return split(self._batch, self.images * max(1, threads // THREADS))


class MicroBatches:
    """Compiled plans played one after another, each on its share of the images. parts: one for each micro-batch."""

    def __init__(self, plan: Plan, parts: Sequence[CompiledPlan]):
        self.plan, self.parts = plan, parts
        sizes = (part.plan.values[plan.inputs[0]].shape[0] for part in parts)
        ends = list(accumulate(sizes))
        self.shares = [slice(begin, end) for begin, end in zip([0, *ends], ends)]

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        results = results_of(self.plan, inputs[0])
        for part, share in zip(self.parts, self.shares):
            part.run_into([x[share] for x in inputs], [result[share] for result in results])
        return results

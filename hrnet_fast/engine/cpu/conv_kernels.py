"""Which kernel computes each convolution: direct, or one of Winograd's, from a model of the CPU."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil

from ...plan import Conv, Plan
from ...plan.cost import traffic, weights_of

# Found by timing, in vector multiply-adds: words of weights that arrive during one; what transforming a vector takes
# at each position, of a patch and of its products, and one of weights into a row of positions. A word is one float, or
# as many values of bfloat16 as one multiply-add takes. These compare kernels; csrc/cpu/schedule.cpp has figures of its
# own, of about the same proportions, by which it shares out among threads what was chosen.
STREAM, PATCH, PRODUCT, WEIGHT = 1.3, 12.0, 9.0, 72.0
AS_GOOD = 1.08  # how much slower a kernel may be that saves memory, by fewer weights
LARGE = 5 << 18  # words of transformed weights: more are transformed as they are used
AT_ONCE = 12  # tiles that are multiplied together at most
CACHED = 3 << 17  # words of weights that stay in a core's second-level cache
FEWEST = 6  # tiles of a group that many threads divide among them
DEEP, FEW = 32, 8  # convolutions; input channels
FOURS, BESIDE = 4, 0.4  # channels behind whole vectors that are put side by side; work of such a vector


@dataclass(frozen=True)
class Kernel:
    """m: of Winograd's F(m x m, 3x3), 2 to 4; 0 for a direct convolution. group: tiles transformed together. tuned:
    whether measurement chose it."""

    m: int = 0
    group: int = 0
    tuned: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        name = f"Winograd F({self.m}x{self.m})" if self.m else "direct"
        return f"tuned {name}" if self.tuned else name

    def as_entry(self) -> dict[str, int]:
        """For the cache: readable, and back by `choices.from_entry`."""
        return {"m": self.m, "group": self.group}


DIRECT = Kernel()


@dataclass(frozen=True)
class Shape:
    """A 3x3 convolution of stride 1 that several kernels can compute.

    inputs: channels read; out: (N, C, H, W) written; sizes: of Winograd's kernels, as `allowed` has them.
    per_word: values of a word, 1 in float32, 2 in bfloat16.
    """

    inputs: int
    out: tuple[int, ...]
    sizes: tuple[int, ...]
    per_word: int = 1

    @property
    def words(self) -> int:
        """Of inputs."""
        return ceil(self.inputs / self.per_word)

    def __str__(self) -> str:
        n, outputs, height, width = self.out
        return f"3x3 {self.inputs}->{outputs} @{height}x{width}" + (f" batch {n}" if n > 1 else "")

    @property
    def signature(self) -> str:
        """What its measured kernel is kept under."""
        dtype = "float32" if self.per_word == 1 else "bfloat16"
        return f"{dtype} {self}, direct or " + ", ".join(f"F({m}x{m})" for m in self.sizes)


def allowed(convolutions: int, inputs: int, exact: bool, per_word: int = 1) -> tuple[int, ...]:
    """The m of F(m x m, 3x3) that keep a plan of so many convolutions within twice torch's own error.

    Of at least `FEW` input channels, a convolution by F(2x2) errs no more than torch's; one by F(3x3) or F(4x4) up to
    four times as much, which a network's other layers outweigh, but a single layer would not. In bfloat16, of which a
    word has two values, patches and weights are rounded once more: a single layer by F(2x2) errs more than twice, too.
    """
    if exact or inputs < FEW:
        return ()
    return (2, 3, 4) if convolutions >= DEEP else (2,) if per_word == 1 else ()


def choose(shape: Shape, lanes: int) -> Kernel:
    """The kernel that ends first by the model, or one as good of fewer weights. lanes: floats in a vector."""
    kernels = (DIRECT, *(Kernel(m, group(m, shape, lanes)) for m in shape.sizes))
    works = {kernel: work(kernel, shape, lanes) for kernel in kernels}
    as_good = [kernel for kernel in kernels if works[kernel] <= AS_GOOD * min(works.values())]
    return min(as_good, key=lambda kernel: (weights(kernel, shape.words, shape.out[1]), works[kernel]))


def fours(kernel: Kernel, words: int, outputs: int, lanes: int, taps: int) -> bool:
    """Whether the last vector of results holds the last channels of several pixels or tiles: where few are left behind
    others.

    As `ends_in_fours` in csrc/cpu/program.h has it. words: of inputs. taps: of a direct convolution.
    """
    suits = not plain(kernel, words, outputs) if kernel.m else taps > 1
    return suits and outputs > lanes and _few(outputs, lanes)


def plain(kernel: Kernel, words: int, outputs: int) -> bool:
    """Whether a kernel's weights are kept as they are: of Winograd's, where they would be too many transformed.

    words: of inputs.
    """
    return not kernel.m or (kernel.m + 2) ** 2 * words * outputs > LARGE


def weights(kernel: Kernel, words: int, outputs: int) -> int:
    """Words of weights that a kernel of a 3x3 convolution of so many words of inputs keeps."""
    return words * outputs * (9 if plain(kernel, words, outputs) else (kernel.m + 2) ** 2)


def tiles(m: int, out: tuple[int, ...]) -> int:
    """Tiles of m x m that cover the maps of a result (N, C, H, W)."""
    return out[0] * -(-out[2] // m) * -(-out[3] // m)


def winograd_cost(plan: Plan, item: Conv, m: int) -> tuple[int, int]:
    """Multiply-adds of whole tiles and elements moved, for a roofline; transforming maps is not counted."""
    direct = weights_of(item, plan)
    transformed = direct // 9 * (m + 2) ** 2
    return tiles(m, plan.values[item.out].shape) * transformed, traffic(item, plan) - direct + transformed


def group(m: int, shape: Shape, lanes: int) -> int:
    """Tiles transformed together: few, but enough of them for each reading of weights that no core's cache holds.

    About as many as the registers hold at once (`tile_pixels` in csrc/cpu/items/work.h), and every group alike.
    """
    outputs = shape.out[1]
    cached = (m + 2) ** 2 * shape.words * outputs <= CACHED
    most, step = (48, 4) if not cached else (16, 4) if -(-outputs // lanes) == 3 else (12, 2)
    count = tiles(m, shape.out)
    return ceil(count / ceil(count / most) / step) * step


def divided(kernel: Kernel, out: tuple[int, ...], lanes: int, threads: int, items: int) -> Kernel:
    """The kernel with groups so small that there is one for each of many threads, where so many items of a level share
    them; but not one that was measured. A tile's results do not depend on its group.
    """
    if not kernel.m or kernel.tuned:
        return kernel
    count, blocks = tiles(kernel.m, out), max(1, -(-out[1] // lanes) // 2)
    groups = min(ceil(threads / (items * blocks)), max(1, count // FEWEST))
    return replace(kernel, group=min(kernel.group, ceil(count / groups / 2) * 2))


def work(kernel: Kernel, shape: Shape, lanes: int) -> float:
    """Vector multiply-adds that a convolution takes, or the time of as many.

    Reading the weights counts in full: of maps so small that it matters, it hides behind nothing.
    """
    outputs, words, m = shape.out[1], shape.words, kernel.m
    ends_in_fours = fours(kernel, words, outputs, lanes, taps=9)
    vectors, count = -(-outputs // lanes) - (1 - BESIDE) * ends_in_fours, tiles(m or 1, shape.out)
    if not m:
        return 9 * words * vectors * (count + lanes / STREAM)
    places, (groups, rest) = (m + 2) ** 2, divmod(count, kernel.group)
    multiplied = groups * _whole(kernel.group) + _whole(rest)
    patch = -(-shape.inputs // lanes) - (1 - BESIDE) * _few(shape.inputs, lanes)
    transforms = count * places * (PATCH * patch + PRODUCT * vectors)
    if plain(kernel, words, outputs):
        reading = 9 * lanes / STREAM + WEIGHT * shape.per_word * (m + 2) * ceil(count / kernel.group)
    else:
        reading = places * lanes / STREAM
    return transforms + words * vectors * (places * multiplied + reading)


def _few(channels: int, lanes: int) -> bool:
    """Whether so many channels leave few behind whole vectors."""
    return lanes > FOURS and 0 < channels % lanes <= FOURS


def _whole(count: int) -> int:
    """Tiles that are multiplied where `count` are wanted: always about as many at once, an even number, 4 or more."""
    if not count:
        return 0
    times = ceil(count / AT_ONCE)
    even = ceil(count / times)
    return sum(max(4, ceil(size / 2) * 2) for size in (*[even] * (times - 1), count - even * (times - 1)))

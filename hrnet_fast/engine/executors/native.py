"""The native CPU executor: our own kernels play the whole plan in one parallel region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from math import inf, prod
from platform import machine
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from hrnet_fast import kernels

from ...plan import Concat, Conv, Function, Item, Level, Plan, Sum
from ...plan.cost import direct_cost
from ...plan.fold import fold
from ...processor import third_level_cache
from ..cpu.arena import fit
from ..cpu.choices import Choices
from ..cpu.compiled import DTYPES, CompiledPlan
from ..cpu.conv_kernels import Kernel, divided, winograd_cost
from ..cpu.cpu_key import cpu_key
from ..cpu.functions import function_kernel, unsupported_item
from ..cpu.memory import Kept
from ..cpu.microbatch import THREADS, BatchInParts, MicroBatches, images_at_once
from ..cpu.pack import Packed, pack
from ..cpu.pages import Allocator
from ..cpu.prologues import only_own_items
from ..cpu.tune import KernelTuning, tune_plan
from ..executor import Executor, Progress, Run
from ..interpret import Interpreter, Watch
from ..locks import Lock
from ..tuning.cache import cache_folder, cache_of
from .onednn import OneDnnExecutor
from .onednn import unsupported as onednn_unsupported
from .reference import ReferenceExecutor

BFLOAT16 = "avx512-bf16"  # the instruction set whose words are pairs of bfloat16
ISA_NAMES = {"avx512": "AVX-512", "avx2": "AVX2", "amx": "AMX bfloat16", "amx-emulated": "emulated AMX bfloat16",
             "avx512-bf16": "AVX-512 bfloat16", "avx512-bf16-emulated": "emulated AVX-512 bfloat16",
             "portable": {"aarch64": "NEON", "arm64": "NEON", "x86_64": "SSE2"}.get(machine(), "16-byte vectors"),
             }  # fmt: skip


def unsupported() -> str | None:
    """Why this executor cannot play on this machine, or None. Raises RuntimeError if HRNET_FAST_CPU_ISA is wrong."""
    extension = kernels.extension()
    if extension.module is None:
        return extension.reason
    extension.module.cpu_isa()
    return None


def is_portable() -> bool:
    """Whether the kernels here are those for vectors of 16 bytes, beside which oneDNN may be faster."""
    return kernels.extension().compiled.cpu_isa() == "portable"


def unsupported_bfloat16() -> str | None:
    """Why this executor does not play in bfloat16 on this machine, or None."""
    extension = kernels.extension()
    if extension.module is None:
        return extension.reason
    if extension.module.cpu_isa_bfloat16() != BFLOAT16:
        return "this CPU has no AVX512_BF16, or multiplies no faster by it than in float32"
    return None


FOREIGN = 1 / 8  # of a plan's convolutions and sums: where torch has to play more, oneDNN's executor is faster


def unsupported_plan(plan: Plan) -> str | None:
    """Why this executor does not play this plan, or None."""
    if not plan.levels or not all(prod(value.shape) for value in plan.values):
        return "a network of nothing but its inputs, or of maps without elements, is not theirs"
    if any(len(plan.values[v].shape) not in (2, 4) for v in plan.inputs):
        return "an input is not a map"
    items = [item for item in plan.items() if not isinstance(item, Function)]
    foreign = [why for why in (unsupported_item(item, plan, functions=False) for item in items) if why]
    if len(foreign) > FOREIGN * len(items):
        return f"they do not know {len(foreign)} of {len(items)} convolutions and sums: {foreign[0]}"
    return None


class NativeExecutor(Executor):
    """Plays plans with direct and Winograd convolutions, sums and interpolation in their epilogues.

    In float32; by an instruction set for bfloat16 with maps and weights in bfloat16, and sums in float32.

    tensors: the module's parameters and buffers by key. why: why it computes in its dtype, for `explain`. exact: direct
    convolutions alone, which err no more than torch's. isa: the instruction set, "avx512", "avx2", "portable" or
    "avx512-bf16"; by default the widest allowed of float32. Measured kernels are taken from the user's cache, for the
    threads torch uses when the executor is made. Weights are folded and packed once for all shapes and stay while a
    compiled plan needs them. A large batch is played in parts (`cpu/microbatch.py`). Each plan owns one arena for each
    size of parts and each concurrent caller, made at its first call and used again. Results are the same for any number
    of threads that play. What its kernels do not know torch plays in between; a plan that does not suit it is played by
    oneDNN.
    """

    name = "native"
    device = torch.device("cpu")
    max_plans = 64

    def __init__(self, tensors: Mapping[str, Tensor], why: str = "float32", exact: bool = False, isa: str = ""):
        self.tensors, self.why, self.exact = tensors, why, exact
        module = kernels.extension().compiled
        self.isa = isa or module.cpu_isa()
        traits = module.cpu_isa_traits(self.isa)
        self.lanes, self.per_word, self.dtype = traits.lanes, traits.per_word, DTYPES[traits.element_bytes]
        self.functions, self.tail = not traits.direct_alone, traits.tail
        self.cache = cache_of(cache_folder())
        self.choices = self._choices()
        self._last: BatchInParts | None = None
        self._packed: WeakValueDictionary[tuple[Any, ...], Packed] = WeakValueDictionary()
        self.interpreter = Interpreter(tensors, self.dtype, self.device)
        self._kept = Kept()
        self._lock = Lock()

    def explain(self, plan: Plan, level: Level) -> tuple[str, str]:
        if why := unsupported_plan(plan):
            return self._stand_in(why).explain(plan, level)
        refused = next(filter(None, (unsupported_item(item, plan, self.functions) for item in level.items)), "")
        played = self._kernels(plan, level)
        if not played:
            return "torch", refused
        sizes = self._parts(plan).sizes(torch.get_num_threads())
        at_once = f", images in {len(sizes)} parts of up to {sizes[0]}" if len(sizes) > 1 else ""
        beside = f"; by torch: {refused}" if refused else ""
        return self.name, f"{ISA_NAMES[self.isa]}: {played}, in {self.why}{at_once}{beside}"

    def map_bytes(self, plan: Plan) -> int | None:
        """Bytes of the arenas that a plan's maps lie in, one for each size of parts; None where oneDNN plays it."""
        if unsupported_plan(plan):
            return None
        parts = self._parts(plan)
        sizes = set(parts.sizes(torch.get_num_threads()))
        return self.dtype.itemsize * sum(fit(parts.plan(size), self.tail).size for size in sizes)

    def cost(self, plan: Plan, item: Item) -> tuple[int, int]:
        if isinstance(item, Conv) and not unsupported_plan(plan) and (m := self._parts(plan).kernel_of(item).m):
            return winograd_cost(plan, item, m)
        return direct_cost(plan, item)

    def _kernels(self, plan: Plan, level: Level) -> str:
        native = [item for item in level.items if unsupported_item(item, plan, self.functions) is None]
        convs = [item for item in native if isinstance(item, Conv)]
        counts = Counter(map(str, map(self._parts(plan).kernel_of, convs)))
        counts["sum"] = sum(isinstance(item, (Sum, Concat)) for item in native)
        counts.update(filter(None, (function_kernel(item, plan) for item in native)))
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    def _choices(self) -> Choices:
        key = cpu_key(self.isa, torch.get_num_threads())
        return Choices(self.lanes, self.exact, self.cache, key, self.per_word)

    def _parts(self, plan: Plan) -> BatchInParts:
        last = self._last
        if last is None or last.whole is not plan:  # `explain` asks for every item of a plan
            images = images_at_once(plan, self.exact, self.functions, self.per_word, third_level_cache())
            last = self._last = BatchInParts(plan, images, self.choices)
        return last

    def prepare(self, plan: Plan, watch: Watch | None = None) -> Run:
        if why := unsupported_plan(plan):
            return self._stand_in(why).prepare(plan, watch)
        with self._lock:
            parts, watch = self._parts(plan), only_own_items(plan, watch)
            sizes = parts.sizes(torch.get_num_threads())
            compiled = {}
            for n in dict.fromkeys(sizes):
                compiled[n] = self._compile(parts.plan(n), self._divided(parts.plan(n), parts.kernel_of), watch)
        if len(sizes) == 1:
            return compiled[sizes[0]].run
        return MicroBatches(plan, [compiled[n] for n in sizes]).run

    def tune(self, plan: Plan, progress: Progress = iter, again: bool = False, seconds: float = inf) -> KernelTuning:
        """Measures kernels for every distinct 3x3 convolution of a plan that the cache lacks, for as many threads as
        torch uses now, and keeps them there if the whole network gains."""
        if why := unsupported_plan(plan):
            raise RuntimeError(f"there is nothing to tune, as {self._stand_in(why).name!r} plays this network: {why}")
        if self.exact:
            raise RuntimeError("there is nothing to tune where direct convolutions alone play: exact=True, or AMX")
        parts = self._parts(plan)
        with torch.inference_mode():
            return tune_plan(parts.plan(parts.sizes()[0]), self._choices(), self.isa, self._compile, progress, again)

    def _compile(self, plan: Plan, kernel_of: Callable[[Conv], Kernel], watch: Watch | None = None) -> CompiledPlan:
        weights_of = partial(self._weights, Allocator())
        return CompiledPlan(plan, kernel_of, weights_of, self.interpreter.play, watch, self.isa, self._kept)

    def _divided(self, plan: Plan, kernel_of: Callable[[Conv], Kernel]) -> Callable[[Conv], Kernel]:
        """The kernels where more threads play than they are chosen for."""
        threads = torch.get_num_threads()
        if threads <= THREADS:
            return kernel_of
        items = {item.out: len(level.items) for level in plan.levels for item in level.items}
        return lambda item: divided(kernel_of(item), plan.values[item.out].shape, self.lanes, threads, items[item.out])

    def _stand_in(self, why: str) -> Executor:
        """Who plays instead: oneDNN, or plain torch where torch has no oneDNN."""
        refused = f"the native kernels were refused, as {why}"
        if no_onednn := onednn_unsupported(self.dtype):
            return ReferenceExecutor(self.tensors, self.dtype, self.device, f"{refused}, and {no_onednn}")
        return OneDnnExecutor(self.tensors, self.dtype, refused)

    def _weights(self, memory: Allocator, item: Conv, kernel: Kernel) -> Packed:
        key = (item.conv, item.norm, kernel.m)
        packed = self._packed.get(key)
        if packed is None:
            weight, bias = fold(item, self.tensors, torch.float32)
            weight, joined = weight.view(*weight.shape[:2], *item.conv.kernel), item.conv.dilation[1] == 1
            packed = self._packed[key] = self._pack(weight, bias, kernel, memory, joined)
        return packed

    def _pack(self, weight: Tensor, bias: Tensor | None, kernel: Kernel, memory: Allocator, joined: bool) -> Packed:
        return pack(weight, bias, self.lanes, kernel, memory, self.per_word, joined)

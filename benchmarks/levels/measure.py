"""One network, level by level: checked, timed whole and in parts, and held against a roofline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

import hrnet_fast
from benchmarks.cases import Case
from benchmarks.compare import checked
from benchmarks.machine import OtherWork
from benchmarks.sheet import Made, made
from benchmarks.text import case_name
from hrnet_fast.engine.machine import machine
from hrnet_fast.plan import Conv, Item, Plan
from hrnet_fast.plan.cost import annotate
from hrnet_fast.plan.describe import operation
from hrnet_fast.timing import interleave


@dataclass(frozen=True)
class Network:
    """model, size (HxW), batch, dtype, exact: what ran. error, error_torch: relative L2 against float64.

    whole_us: median of a call. roofline: of the machine, in words. levels: of each level
        what: its items; how: who plays them, with which kernels; us: median; flops: two a multiply-add, by definition;
        compute_us, memory_us: what the machine's rates allow for the FLOPs of these kernels, and for the bytes of
        weights and maps that they move.
    """

    model: str
    size: str
    batch: int
    dtype: str
    exact: bool
    error: float
    error_torch: float
    whole_us: float
    roofline: str
    levels: list[dict[str, object]]
    made: Made

    @property
    def key(self) -> tuple[str, str, int, str, bool]:
        return self.model, self.size, self.batch, self.dtype, self.exact

    @property
    def title(self) -> str:
        return case_name(self.model, self.size, self.batch, self.dtype) + ", exact" * self.exact


def measure(case: Case, exact: bool, seconds: float) -> Network:
    """Errors: ValueError if the numbers are wrong; then nothing is timed. seconds: of timing, about."""
    fast, asked, error = checked(case, exact)
    with torch.inference_mode():
        other = OtherWork()
        whole = _whole(fast, asked.x, seconds / 2)
        times = fast.profile(asked.x)
        whole += _whole(fast, asked.x, seconds / 2)  # on both sides, as a machine drifts
    levels = _levels(fast, asked.x, dict(times))
    figures = machine(fast.device, fast.executor.dtype).name
    return Network(
        case.model, case.size, case.batch, case.dtype, exact, error, asked.error_torch,
        round(1e6 * median(whole), 1), figures, levels, made(other),
    )  # fmt: skip


def _whole(fast: hrnet_fast.OptimizedModule, x: torch.Tensor, seconds: float) -> list[float]:
    return interleave({"": partial(fast, x)}, budget_s=seconds)[""].samples


def _levels(fast: hrnet_fast.OptimizedModule, x: torch.Tensor, times: dict[int, float]) -> list[dict[str, object]]:
    executor, plan = fast.executor, fast.plan_for(x)
    dtype, figures = executor.dtype, machine(fast.device, executor.dtype)
    annotated = annotate(plan, dtype, figures, partial(executor.explain, plan), executor.cost)
    found = []
    for index, level in enumerate(annotated.levels):
        costs = [executor.cost(plan, item) for item in level.items]
        products, moved = (sum(column) for column in zip(*costs, strict=True))
        found.append({
            "what": what(level.items, plan),
            "how": f"{level.executor}: {level.reason}",
            "us": round(times[index], 2),
            "flops": level.flops,
            "compute_us": round(2e6 * products / figures.flops, 2),
            "memory_us": round(1e6 * dtype.itemsize * moved / figures.bandwidth, 2),
        })  # fmt: skip
    return found


def what(items: tuple[Item, ...], plan: Plan) -> str:
    """'3x3 32>32 64x48, 3x3 64>64 32x24': kernel, channels and result size of each item, equal ones counted."""
    words: dict[str, int] = {}
    for item in items:
        shape = plan.values[item.out].shape
        size = "x".join(map(str, shape[2:]))
        name = " ".join(word for word in operation(item, plan).split() if word[0] != "+" and word != "relu")
        word = f"{name} {size}" if isinstance(item, Conv) else f"{name} {shape[1]} {size}".rstrip()
        words[word] = words.get(word, 0) + 1
    return ", ".join(word if count == 1 else f"{count}x {word}" for word, count in words.items())

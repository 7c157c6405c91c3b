"""Times of single calls on a GPU that does nothing else, and what they hold in its memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hrnet_fast.timing import percentile

_HEAD_START = 400_000  # GPU clock ticks, some 0.2 ms: the host launches the whole graph in that time


@dataclass(frozen=True)
class Effort:
    """How long one thing is timed: at least `samples` calls, more while `seconds` last, `most` at the most."""

    samples: int = 200
    seconds: float = 1.0
    most: int = 1000
    warm_up: float = 0.2


FULL = Effort()
BRIEF = Effort(samples=30, seconds=0.1, most=200, warm_up=0.05)
DRY = Effort(samples=2, seconds=0.0, most=2, warm_up=0.0)


@dataclass(frozen=True)
class Times:
    """Microseconds of single calls. device: between two events on the stream; wall: what the host's clock saw, the wait
    for the result included."""

    device: tuple[float, ...]
    wall: tuple[float, ...]

    def row(self, prefix: str = "") -> dict[str, float | int]:
        """p10, p50, p90 of the device's times, p50 of the wall's, and how many there are."""
        found = {f"{prefix}p{q}_us": round(percentile(self.device, q), 2) for q in (10, 50, 90)}
        return {**found, f"{prefix}wall_us": round(percentile(self.wall, 50), 2), f"{prefix}samples": len(self.device)}


def isolated(call: Callable[[], object], device: torch.device, effort: Effort, head_start: bool = False) -> Times:
    """Times `call` again and again, each time on an idle GPU: kernels of two calls never overlap.

    head_start: keep the GPU busy before the first event, until the host has launched everything; the time is then the
    GPU's own. Without it, the time holds what the host takes to launch, as a caller on an idle GPU sees it.
    A CPU has no events: there both times are the wall's.
    """
    on_gpu = device.type == "cuda"
    synchronize = (lambda: torch.cuda.synchronize(device)) if on_gpu else (lambda: None)
    begin = time.perf_counter()
    while True:
        call()
        synchronize()  # each: the host launches a graph in microseconds, and a thousand that wait take seconds
        if time.perf_counter() - begin >= effort.warm_up:
            break
    device_us: list[float] = []
    wall_us: list[float] = []
    begin = time.perf_counter()
    while len(device_us) < effort.samples or (
        len(device_us) < effort.most and time.perf_counter() - begin < effort.seconds
    ):
        if on_gpu:
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            if head_start:
                torch.cuda._sleep(_HEAD_START)
        before = time.perf_counter()
        if on_gpu:
            first.record()
        call()
        if on_gpu:
            last.record()
            last.synchronize()
        wall_us.append((time.perf_counter() - before) * 1e6)
        device_us.append(first.elapsed_time(last) * 1e3 if on_gpu else wall_us[-1])
    return Times(tuple(device_us), tuple(wall_us))


def steady_memory(call: Callable[[], object], device: torch.device, before: int) -> int | None:
    """Bytes that a runner adds while it is called, after its build is over: weights, workspaces, graphs, intermediates.

    before: what was `reserved` before its build.
    It counts what torch's allocator reserved from the GPU (in steps of 2 MiB and more), since what belongs to a
    captured graph is reserved but not "allocated". None on a CPU.
    """
    if device.type != "cuda":
        call()
        return None
    reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    call()
    torch.cuda.synchronize(device)
    return max(0, torch.cuda.max_memory_reserved(device) - before)


def reserved(device: torch.device) -> int:
    """Bytes that torch's allocator holds of the GPU, once all that is unused was given back."""
    gc.collect()
    if device.type != "cuda":
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device)

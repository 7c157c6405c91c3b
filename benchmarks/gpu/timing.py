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


def isolated(
    call: Callable[[], object], device: torch.device, effort: Effort, *, head_start: bool = False, prefix: str = ""
) -> dict[str, float | int]:
    """Times `call` again and again, each time on an idle GPU: kernels of two calls never overlap.

    head_start: keep the GPU busy before the first event, until the host has launched everything; the time is then the
    GPU's own. Without it, the time holds what the host takes to launch, as a caller on an idle GPU sees it.
    Returns, with the prefix: p10_us, p50_us, p90_us of the GPU's times; wall_us, the host's median; samples.
    """
    begin = time.perf_counter()
    while True:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # each: a thousand graphs that wait, launched in microseconds, take seconds
        if time.perf_counter() - begin >= effort.warm_up:
            break
    times: list[tuple[float, float]] = []
    begin = time.perf_counter()
    while len(times) < effort.samples or (len(times) < effort.most and time.perf_counter() - begin < effort.seconds):
        times.append(_once(call, device, head_start))
    gpu, wall = zip(*times, strict=True)
    found = {f"p{q}_us": round(percentile(gpu, q), 2) for q in (10, 50, 90)}
    found |= {"wall_us": round(percentile(wall, 50), 2), "samples": len(times)}
    return {f"{prefix}{key}": value for key, value in found.items()}


def _once(call: Callable[[], object], device: torch.device, head_start: bool) -> tuple[float, float]:
    """Microseconds between two events on the stream, and by the host's clock until the result is there. A CPU has no
    events: there both are the clock's."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        if head_start:
            torch.cuda._sleep(_HEAD_START)
    begin = time.perf_counter()
    if on_gpu:
        first.record()
    call()
    if on_gpu:
        last.record()
        last.synchronize()
    wall = (time.perf_counter() - begin) * 1e6
    return (first.elapsed_time(last) * 1e3 if on_gpu else wall), wall


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

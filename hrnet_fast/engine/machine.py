"""What the machine at hand computes and moves at best: the roofline that plans are held against."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch

from ..plan.cost import Machine


def machine(device: torch.device, dtype: torch.dtype) -> Machine:
    """The roofline of a device in a dtype, by a short measurement."""
    if device.type == "cuda":
        return _measured_gpu(device, dtype)
    return _measured_cpu(dtype, torch.get_num_threads())


@functools.cache
def _measured_gpu(device: torch.device, dtype: torch.dtype) -> Machine:
    """Best of a few large matrix products and copies."""
    a = torch.randn(4096, 4096, dtype=dtype, device=device)
    source = torch.empty(1 << 28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    flops = 2 * 4096**3 / _best(lambda: a @ a, device)
    bandwidth = 2 * source.nbytes / _best(lambda: target.copy_(source), device)
    figures = f"{flops / 1e12:.0f} TFLOP/s {str(dtype).removeprefix('torch.')}, {bandwidth / 1e12:.1f} TB/s"
    return Machine(f"{torch.cuda.get_device_name(device)} ({figures})", flops, bandwidth)


@functools.cache
def _measured_cpu(dtype: torch.dtype, threads: int) -> Machine:
    """Best of a few matrix products and copies: about a tenth of a second, once a process, or four slow calls.

    The same product as a convolution too: the library that multiplies matrices may be slow on some makers' CPUs.
    """
    a = torch.ones(1024, 1024, dtype=dtype, device="cpu")
    x = torch.ones(1, 1024, 32, 32, dtype=dtype, device="cpu").contiguous(memory_format=torch.channels_last)
    weight = a.view(1024, 1024, 1, 1)
    flops = 2 * 1024**3 / min(_best(lambda: a @ a), _best(lambda: torch.conv2d(x, weight)))
    source = torch.ones(16 << 20, dtype=torch.float32, device="cpu")
    target = torch.empty_like(source)
    bandwidth = 2 * source.nbytes / _best(lambda: target.copy_(source))
    figures = f"{flops / 1e12:.2f} TFLOP/s {str(dtype).removeprefix('torch.')}, {bandwidth / 1e9:.0f} GB/s"
    return Machine(f"this CPU ({threads} threads: {figures})", flops, bandwidth)


def _best(work: Callable[[], object], gpu: torch.device | None = None) -> float:
    """Of five calls, or of fewer where they take long; of two at least, as the first may have something to set up."""
    times: list[float] = []
    while len(times) < 2 or (len(times) < 5 and sum(times) < 0.1):
        start = time.perf_counter()
        work()
        if gpu is not None:
            torch.cuda.synchronize(gpu)
        times.append(time.perf_counter() - start)
    return min(times)

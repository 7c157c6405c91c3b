"""What the machine at hand computes and moves at best: the roofline that plans are held against."""

from __future__ import annotations

import functools
import time

import torch

from ..plan.cost import Machine

# Dense tensor-core rate and copy bandwidth, measured with large matrix products and copies.
_GPUS = {"H200": Machine("H200 (790 TFLOP/s bf16, 4.3 TB/s)", 790e12, 4.3e12)}


def machine(device: torch.device, dtype: torch.dtype) -> Machine:
    """The roofline of a device: known figures for a known GPU, a short measurement for a CPU."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, figures in _GPUS.items():
            if known in name:
                return figures
        raise ValueError(f"no roofline figures are known for {name}; add them to hrnet_fast/engine/machine.py")
    return _measured_cpu(dtype, torch.get_num_threads())


@functools.cache
def _measured_cpu(dtype: torch.dtype, threads: int) -> Machine:
    """Best of a few matrix products and copies: about a tenth of a second, once a process."""
    a = torch.ones(1024, 1024, dtype=dtype)
    flops = 2 * 1024**3 / _best(lambda: a @ a)
    source = torch.ones(16 << 20)
    target = torch.empty_like(source)
    bandwidth = 2 * source.nbytes / _best(lambda: target.copy_(source))
    figures = f"{flops / 1e12:.2f} TFLOP/s {str(dtype).split('.')[1]}, {bandwidth / 1e9:.0f} GB/s"
    return Machine(f"this CPU ({threads} threads: {figures})", flops, bandwidth)


def _best(work, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)

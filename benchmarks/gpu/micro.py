"""What the GPU itself does: launch gaps inside a CUDA graph, copies, matrix products."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.timing import BRIEF, DRY, Effort, isolated
from benchmarks.runners.eager import captured

PROGRAMS = 132  # of an empty kernel
CHAIN = (100, 1100)  # kernels in the two graphs whose difference tells the time of one
COPIES = (4, 16, 64, 256, 4096)  # MiB read; as much is written
SIZE = 8192  # of the matrix products
PRODUCTS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "TF32": torch.float32}
_LAUNCHES = {"plain": "launch", "dependent": "launch, dependent", "torch": "launch of torch's fill"}


def jobs(dry_run: bool) -> Iterator[Job]:
    """One child for the GPU's own figures."""
    names = [*_LAUNCHES.values()]
    names += [f"copy {mib} MiB" for mib in COPIES] + [f"matrix product {kind}" for kind in PRODUCTS]
    runners = [*(f"launch:{kind}" for kind in _LAUNCHES), *(f"copy:{mib}" for mib in COPIES)]
    runners += [f"product:{kind}" for kind in PRODUCTS]
    yield Job("micro", tuple(names), tuple(runners), None, dry_run, expected_s=30, limit_s=90)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    effort = DRY if job.dry_run else BRIEF
    for name, runner in job.rows():
        kind, _, what = runner.partition(":")
        emit({"name": name, **_MEASURES[kind](what, device, effort)})


def _launch(kind: str, device: torch.device, effort: Effort) -> dict:
    """Microseconds from one kernel of a graph to the next: long chain less short chain, over the difference."""
    if kind == "dependent" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (9, 0):
        return {"status": "not run", "reason": "programmatic dependent launch needs compute capability 9.0"}
    if kind != "torch" and importlib.util.find_spec("triton") is None:
        return {"status": "not run", "reason": "triton is not installed"}
    out = torch.zeros(PROGRAMS, dtype=torch.int32, device=device)
    step = _step(kind, out)
    medians = []
    for length in CHAIN if device.type == "cuda" else (2, 4):
        chain = _chain(step, length)
        replay = captured(chain)[0] if device.type == "cuda" else chain
        medians.append(isolated(replay, device, effort, head_start=True)["p50_us"])
        _check(out, length, kind)
    gap = (medians[1] - medians[0]) / (CHAIN[1] - CHAIN[0])
    fixed = medians[0] - gap * CHAIN[0]
    return {"status": "ok", "value": round(gap, 3), "unit": "us", "fixed_us": round(fixed, 1)}


def _step(kind: str, out: Tensor) -> Callable[[int], object]:
    """Launches one kernel that leaves its number in `out`; on a CPU always torch's own."""
    if kind == "torch" or out.device.type != "cuda":
        return out.fill_
    from benchmarks.gpu.empty_kernel import empty_kernel

    dependent = kind == "dependent"
    options = {"launch_pdl": True} if dependent else {}
    return lambda number: empty_kernel[(PROGRAMS,)](out, number, DEPENDENT=dependent, num_warps=4, **options)


def _chain(step: Callable[[int], object], length: int) -> Callable[[], None]:
    def chain() -> None:
        for number in range(length):
            step(number)

    return chain


def _check(out: Tensor, length: int, kind: str) -> None:
    """The last kernel of a chain must have been the last to write."""
    if not bool((out == length - 1).all()):
        raise AssertionError(f"after {length} kernels ({kind}) the memory holds {out[:4].tolist()}, not {length - 1}")


def _copy(what: str, device: torch.device, effort: Effort) -> dict:
    """Bytes read and written a second. What fits in the L2 cache stays there from one copy to the next."""
    elements = int(what) * 2**20 // 4 if device.type == "cuda" else 1024
    source = torch.randn(elements, device=device)
    target = torch.empty_like(source)
    repeats = max(1, 2**28 // source.nbytes) if device.type == "cuda" else 1

    def copies() -> None:
        for _ in range(repeats):
            target.copy_(source)

    replay = captured(copies)[0] if device.type == "cuda" else copies
    p50_us = isolated(replay, device, effort, head_start=True)["p50_us"]
    if not target.equal(source):
        raise AssertionError(f"a copy of {what} MiB does not hold what its source holds")
    return {"status": "ok", "value": round(2 * source.nbytes * repeats / p50_us / 1e6, 3), "unit": "TB/s"}


def _product(what: str, device: torch.device, effort: Effort) -> dict:
    """FLOPs a second of a large square product of random numbers: zeros would be multiplied faster."""
    size = SIZE if device.type == "cuda" else 64
    dtype = PRODUCTS[what]
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if what == "TF32" else before)
    try:
        p50_us = isolated(lambda: a @ b, device, effort, head_start=True)["p50_us"]
        sample = (a[:8] @ b)[:, :8].double().cpu()
    finally:
        torch.set_float32_matmul_precision(before)
    want = a[:8].double().cpu() @ b[:, :8].double().cpu()
    error = float((sample - want).norm() / want.norm())
    if not error < 1e-2:
        raise AssertionError(f"the {what} product has a relative error of {error:.1e}")
    return {"status": "ok", "value": round(2 * size**3 / p50_us / 1e6, 1), "unit": "TFLOP/s", "error": error}


_MEASURES = {"launch": _launch, "copy": _copy, "product": _product}

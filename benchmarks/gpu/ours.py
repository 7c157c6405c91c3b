"""The library's own executors on the report's networks."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

import hrnet_fast
from benchmarks.compare import Question
from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.networks import Ready, measure
from benchmarks.gpu.paths import TUNING
from benchmarks.gpu.question import question
from benchmarks.gpu.timing import DRY, FULL
from benchmarks.gpu.turns import gpu_turns
from benchmarks.gpu.workloads import asked, label

EXECUTORS = ("triton", "cuda", "cuda-chains", "cudnn", "auto")
TUNED = ("triton tuned", "cuda tuned", "cuda-chains tuned", "auto tuned")
CACHE = "HRNET_FAST_CACHE"  # environment: where the library keeps what it measures


def jobs(dry_run: bool) -> Iterator[Job]:
    """All executors of a case in one child. Triton's kernels of several cases are compiled at once."""
    for workload, dtype in asked(dry_run):
        case = workload.case(dtype)
        names = tuple(f"{label(case)}: {executor}" for executor in EXECUTORS)
        yield Job("ours", names, EXECUTORS, case, dry_run, expected_s=90, limit_s=400, beside=True)


def tuned_jobs(dry_run: bool) -> Iterator[Job]:
    """The same with measured tiles, one case after another: what runs beside it would mislead a measurement."""
    for workload, dtype in asked(dry_run):
        case = workload.case(dtype)
        names = tuple(f"{label(case)}: {executor}" for executor in TUNED)
        yield Job("tuned", names, TUNED, case, dry_run, expected_s=240, limit_s=480)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """Optimizes, checks and times the network by each executor of the job."""
    for name, executor in job.rows():
        with gpu_turns() as turns, cache(executor in TUNED):
            asked_of = question(job.case, device)
            if executor not in ("triton", "cuda", "cuda-chains"):  # the others choose by timing while they are built
                turns.alone()
            effort = DRY if job.dry_run else FULL
            build = partial(_build, executor, job)
            emit(measure(name, build, asked_of, job.case.dtype, effort, is_ours=True, alone=turns.alone))


@contextmanager
def cache(tuned: bool) -> Iterator[None]:
    """Measured tiles go to the report's own folder; untuned rows start from an empty one."""
    before = os.environ.get(CACHE)
    with tempfile.TemporaryDirectory() as empty:
        os.environ[CACHE] = str(TUNING if tuned else empty)
        try:
            yield
        finally:
            os.environ.pop(CACHE)
            if before is not None:
                os.environ[CACHE] = before


def _build(executor: str, job: Job, model: nn.Module, asked_of: Question) -> Ready:
    """As a user who has the model in the dtype would have it; a dry run plays the plan with plain torch operations."""
    x, name = asked_of.x, executor.removesuffix(" tuned")
    fast = hrnet_fast.optimize(model, dtype=x.dtype, executor="reference" if job.dry_run else name, example=x)
    is_tuned = executor in TUNED and name != "auto"  # which plays what the others found
    extra = _tune(fast, x) if is_tuned and not job.dry_run else []
    fast(x)
    plan = fast.plan_for(x)
    extra += [("executor", fast.executor.name), ("levels", len(plan.levels))]
    if hasattr(fast.executor, "verdict"):  # of "auto": what it measured, and what it chose
        extra.append(("chosen", str(fast.executor.verdict(plan))))
    replay = bare_replay(fast, x) or ((lambda: fast(x)) if job.dry_run else None)
    return Ready(lambda: fast(x), replay, tuple(extra))


def _tune(fast: hrnet_fast.OptimizedModule, x: Tensor) -> list[tuple[str, object]]:
    """Tunes the levels of one plan; seconds it took, and the sums over the levels it tuned, before and after."""
    begun = time.perf_counter()
    found = fast.tune(x).values()
    seconds = round(time.perf_counter() - begun, 1)
    sums = {key: round(sum(getattr(one, key) for one in found), 2) for key in ("model_time", "time")}
    return [("tuned", {"seconds": seconds, "levels": len(found), "before_us": sums["model_time"], "us": sums["time"]})]


def bare_replay(fast: hrnet_fast.OptimizedModule, x: Tensor) -> Callable[[], object] | None:
    """The replay of the CUDA graph that `fast` keeps for inputs like `x`; None if it plays them without one."""
    run = fast.program_for(x).run
    graph = getattr(getattr(run, "__self__", run), "graph", None)
    return None if graph is None else graph.replay

"""The library's own executors on the report's networks."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import isfinite

import torch
from torch import Tensor, nn

import hrnet_fast
from benchmarks.compare import Question
from benchmarks.gpu.jobs import Emit, Job, seconds_left
from benchmarks.gpu.networks import Ready, measure, question
from benchmarks.gpu.timing import DRY, FULL
from benchmarks.gpu.turns import gpu_turns
from benchmarks.gpu.workloads import asked, cases_by_dtype, label
from benchmarks.sources import TUNING

# Executors that share a child, how long one row of theirs may take, and whether the CUDA level kernel takes part.
GROUPS = ((("cuda", "cuda-chains"), 90, True), (("triton", "cudnn"), 180, False), (("auto",), 180, True))
TUNED_GROUPS = ((("cuda tuned", "cuda-chains tuned", "auto tuned"), 150, True), (("triton tuned",), 200, False))
TO_TUNE = 75.0  # seconds for the levels of one network, of its row's time
CACHE = "HRNET_FAST_CACHE"  # environment: where the library keeps what it measures


def jobs(dry_run: bool) -> Iterator[Job]:
    """One row of the CUDA level kernel alone, so that a broken kernel is known after a minute; then, of one dtype after
    another, several networks are built at once."""
    every = cases_by_dtype(dry_run)
    _, name = goes_first = canary(dry_run)
    first = next(case for cases in every for case in cases if name.startswith(f"{label(case)}: "))
    yield Job("ours", (name,), GROUPS[0][0][:1], first, dry_run, expected_s=40, limit_s=GROUPS[0][1])
    for cases in every:
        for executors, limit_s, by_cuda in GROUPS:
            for case in cases:
                names = tuple(f"{label(case)}: {executor}" for executor in executors)
                unless = goes_first if by_cuda else None
                job = Job("ours", names, executors, case, dry_run, 60, limit_s, beside=True, unless=unless)
                if rest := job.only(set(names) - {name}):
                    yield rest


def tuned_jobs(dry_run: bool) -> Iterator[Job]:
    """The same with measured tiles, one network after another: what runs beside it would mislead a measurement. Triton,
    which compiles all that it tries, comes last."""
    for executors, limit_s, by_cuda in TUNED_GROUPS:
        for workload, dtype in asked(dry_run):
            case = workload.case(dtype)
            names = tuple(f"{label(case)}: {executor}" for executor in executors)
            unless = canary(dry_run) if by_cuda else None
            yield Job("tuned", names, executors, case, dry_run, 100, limit_s, unless=unless)


def canary(dry_run: bool) -> tuple[str, str]:
    """(part, name) of the row that goes first: of the smallest network."""
    workload, dtype = min(asked(dry_run), key=lambda pair: pair[0].floor_us or 0.0)
    return "ours", f"{label(workload.case(dtype))}: {GROUPS[0][0][0]}"


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """Optimizes, checks and times the network by each executor of the job."""
    for name, executor in job.rows():
        with gpu_turns() as turns, cache(executor.endswith(" tuned")):
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
    is_tuned = executor != name != "auto"  # which plays what the others found
    extra = _tune(fast, x, min(TO_TUNE, seconds_left(job) / 2)) if is_tuned and not job.dry_run else []
    fast(x)
    plan = fast.plan_for(x)
    extra += [("executor", fast.executor.name), ("levels", len(plan.levels))]
    if hasattr(fast.executor, "verdict"):  # of "auto": what it measured, and what it chose
        extra.append(("chosen", str(fast.executor.verdict(plan))))
    replay = bare_replay(fast, x) or ((lambda: fast(x)) if job.dry_run else None)
    return Ready(lambda: fast(x), replay, tuple(extra))


def _tune(fast: hrnet_fast.OptimizedModule, x: Tensor, budget: float) -> list[tuple[str, object]]:
    """Tunes the levels of one plan; seconds it took, and the sums over the levels it tuned, before and after. left:
    levels that the budget of seconds did not suffice for; refused: those whose tiles the GPU refuses, by the model."""
    begun = time.perf_counter()
    found = fast.tune(x, seconds=max(1.0, budget))
    seconds = round(time.perf_counter() - begun, 1)
    timed = [one for one in found.values() if isfinite(one.model_time)]
    sums = {key: round(sum(getattr(one, key) for one in timed), 2) for key in ("model_time", "time")}
    counts = {"levels": len(timed), "left": found.left, "refused": len(found) - len(timed)}
    return [("tuned", {"seconds": seconds, **counts, "before_us": sums["model_time"], "us": sums["time"]})]


def bare_replay(fast: hrnet_fast.OptimizedModule, x: Tensor) -> Callable[[], object] | None:
    """The replay of the CUDA graph that `fast` keeps for inputs like `x`; None if it plays them without one."""
    run = fast.program_for(x).run
    graph = getattr(getattr(run, "__self__", run), "graph", None)
    return None if graph is None else graph.replay

"""The library's own executors on the report's networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

import hrnet_fast
from benchmarks.compare import Question
from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.networks import Ready, measure
from benchmarks.gpu.question import question
from benchmarks.gpu.timing import DRY, FULL
from benchmarks.gpu.turns import gpu_turns
from benchmarks.gpu.workloads import asked, label

EXECUTORS = ("triton", "cudnn", "auto")


def jobs(dry_run: bool) -> Iterator[Job]:
    """All executors of a case in one child. Triton's kernels of several cases are compiled at once."""
    for workload, dtype in asked(dry_run):
        case = workload.case(dtype)
        names = tuple(f"{label(case)}: {executor}" for executor in EXECUTORS)
        yield Job("ours", names, EXECUTORS, case, dry_run, expected_s=90, limit_s=400, beside=True)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """Optimizes, checks and times the network by each executor of the job."""
    for name, executor in job.rows():
        with gpu_turns() as turns:
            asked_of = question(job.case, device)
            if executor != "triton":  # the others choose by timing while they are built
                turns.alone()
            effort = DRY if job.dry_run else FULL
            build = partial(_build, executor, job)
            emit(measure(name, build, asked_of, job.case.dtype, effort, is_ours=True, alone=turns.alone))


def _build(executor: str, job: Job, model: nn.Module, asked_of: Question) -> Ready:
    """As a user who has the model in the dtype would have it; a dry run plays the plan with plain torch operations."""
    x = asked_of.x
    fast = hrnet_fast.optimize(model, dtype=x.dtype, executor="reference" if job.dry_run else executor, example=x)
    fast(x)
    plan = fast.plan_for(x)
    chosen: list[tuple[str, object]] = [("executor", fast.executor.name), ("levels", len(plan.levels))]
    if hasattr(fast.executor, "verdict"):  # of "auto": what it measured, and what it chose
        chosen.append(("chosen", str(fast.executor.verdict(plan))))
    replay = bare_replay(fast, x) or ((lambda: fast(x)) if job.dry_run else None)
    return Ready(lambda: fast(x), replay, tuple(chosen))


def bare_replay(fast: hrnet_fast.OptimizedModule, x: Tensor) -> Callable[[], object] | None:
    """The replay of the CUDA graph that `fast` keeps for inputs like `x`; None if it plays them without one."""
    run = fast.program_for(x).run
    graph = getattr(getattr(run, "__self__", run), "graph", None)
    return None if graph is None else graph.replay

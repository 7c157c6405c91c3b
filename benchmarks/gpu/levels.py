"""Where a forward spends its time: each level of a plan beside what the GPU's roofline allows it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial

import torch

import hrnet_fast
from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.networks import question
from benchmarks.gpu.ours import cache, canary
from benchmarks.gpu.store import Row
from benchmarks.gpu.workloads import asked, label
from benchmarks.levels.measure import what
from hrnet_fast.engine.machine import machine
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan.cost import annotate

EXPECTED_S = {"cuda": 20, "triton": 45}  # of an executor; Triton compiles meanwhile


def jobs(dry_run: bool) -> Iterator[Job]:
    for workload, dtype in asked(dry_run):
        if dtype == asked(dry_run)[0][1]:  # the levels are the same in the other dtype, and so is their cost
            case = workload.case(dtype)
            for executor, expected_s in EXPECTED_S.items():
                names = (f"{label(case)}: levels by {executor}",)
                unless = canary(dry_run) if executor == "cuda" else None
                yield Job("profile", names, (executor,), case, dry_run, expected_s, limit_s=100, unless=unless)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """One row: of each level its microseconds, its roofline's, its FLOPs and bytes, and what it computes.

    Its tiles are those tuned here, where there are any. In a dry run each level is said to take its roofline's time.
    """
    ((name, executor),) = job.rows()
    asked_of = question(job.case, device)
    x = asked_of.x
    model = copy.deepcopy(asked_of.model).to(device, x.dtype)
    with cache(tuned=True):
        fast = hrnet_fast.optimize(model, dtype=x.dtype, executor="reference" if job.dry_run else executor, example=x)
        error = relative_l2(fast(x), asked_of.want)
    plan = fast.plan_for(x)
    figures = machine(device, x.dtype)
    levels = annotate(plan, x.dtype, figures, partial(fast.executor.explain, plan)).levels
    times = [(index, level.roofline_us) for index, level in enumerate(levels)] if job.dry_run else fast.profile(x)
    found = [
        {
            "level": index,
            "us": round(us, 3),
            "roofline_us": round(levels[index].roofline_us, 3),
            "flops": levels[index].flops,
            "bytes": levels[index].bytes,
            "items": what(levels[index].items, plan),
            "how": levels[index].reason[:200],
        }
        for index, us in times
    ]
    row: Row = {"name": name, "executor": executor, "roofline": figures.name, "levels": found}
    right = within_tolerance(error, asked_of.error_torch)
    reason = None if right else f"relative L2 error {error:.2e}, where plain torch has {asked_of.error_torch:.2e}"
    emit({**row, "status": "ok" if right else "wrong", "reason": reason})

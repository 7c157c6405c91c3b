"""What torch itself reaches: eager, CUDA-graphed, and torch.compile in all its modes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from benchmarks.cases import Case
from benchmarks.compare import Question
from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.networks import Ready, measure, question
from benchmarks.gpu.timing import DRY, FULL
from benchmarks.gpu.turns import gpu_turns
from benchmarks.gpu.workloads import cases_by_dtype, label
from benchmarks.runners.base import Runner
from benchmarks.runners.compiled import Compile
from benchmarks.runners.eager import GraphedEager, Plain, PlainChannelsLast, captured
from benchmarks.text import in_short

EAGER = {runner.name: runner for runner in (Plain(), PlainChannelsLast(), GraphedEager())}
# the likeliest winners first, as time may be short
_MODES = (("reduce-overhead", True), ("default", True), ("reduce-overhead", False), ("default", False))
_TUNED = (("max-autotune", True), ("max-autotune", False))
COMPILED = {
    runner.name: runner for runner in (Compile(mode, frozen, keep_cache=True) for mode, frozen in (*_MODES, *_TUNED))
}
NAMES = (*EAGER, *COMPILED)


def jobs(dry_run: bool) -> Iterator[Job]:
    """All eager runners of a case in one child, each compiled one in its own; tuned ones, which take longest, last."""
    for cases in cases_by_dtype(dry_run):
        for case in cases:
            names = tuple(f"{label(case)}: {runner}" for runner in EAGER)
            yield Job("baselines", names, tuple(EAGER), case, dry_run, expected_s=40, limit_s=150)
        for mode in _MODES:
            yield from _compiled(mode, cases, dry_run, expected_s=150, limit_s=300, beside=True)
    for cases in cases_by_dtype(dry_run):
        for mode in _TUNED:  # alone, since what else runs would mislead the tuning
            yield from _compiled(mode, cases, dry_run, expected_s=330, limit_s=540, beside=False)


def _compiled(mode: tuple[str, bool], cases: list[Case], dry_run: bool, **limits) -> Iterator[Job]:
    name = Compile(*mode).name
    for case in cases:
        yield Job("baselines", (f"{label(case)}: {name}",), (name,), case, dry_run, **limits)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    """Builds, checks and times each runner of the job."""
    with gpu_turns() as turns:
        asked_of_all = question(job.case, device)
        for name, runner_name in job.rows():
            runner = {**EAGER, **COMPILED}[runner_name]
            if isinstance(runner, Compile):
                runner.before_run = turns.alone
            else:
                turns.alone()
            build = partial(_build, runner, job)
            effort = DRY if job.dry_run else FULL
            emit(measure(name, build, asked_of_all, job.case.dtype, effort, is_ours=False, alone=turns.alone))


@torch.inference_mode()
def _build(runner: Runner, job: Job, model: nn.Module, asked_of: Question) -> Ready:
    dtype, device = job.case.torch_dtype, asked_of.x.device
    if job.dry_run:
        return _stand_in(runner, model, asked_of)
    reason = runner.refusal(dtype, device)
    if reason:
        raise RuntimeError(reason)
    call = runner.build(model, asked_of.x, dtype)
    if isinstance(runner, GraphedEager):
        return Ready(call, runner.replay)
    if isinstance(runner, Compile) and not runner.has_graphs:
        try:
            return Ready(call, captured(call)[0])
        except RuntimeError as error:  # a call that cannot be captured is still timed as it is
            return Ready(call, extra=(("no_replay", in_short(error)),))
    return Ready(call)


def _stand_in(runner: Runner, model: nn.Module, asked_of: Question) -> Ready:
    """Where there is no GPU: the module itself in place of a graph, Dynamo alone in place of the whole compiler."""
    dtype = asked_of.x.dtype
    if isinstance(runner, Compile):
        compiled = torch.compile(model.requires_grad_(False), fullgraph=True, dynamic=False, backend="eager")
        return Ready(lambda: compiled(asked_of.x))
    if isinstance(runner, GraphedEager):
        call = PlainChannelsLast().build(model, asked_of.x, dtype)
        return Ready(call, call)
    return Ready(runner.build(model, asked_of.x, dtype))

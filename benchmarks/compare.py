"""One case: check every runner against float64, then time in turns those that passed."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

import hrnet_fast
from benchmarks.cases import Case
from benchmarks.machine import OtherWork
from benchmarks.peak_memory import PeakMemory
from benchmarks.photo import photo
from benchmarks.progress import Progress
from benchmarks.results import Row, row_of
from benchmarks.runners import Call, Runner
from benchmarks.sheet import made
from benchmarks.text import in_short
from hrnet_fast.numerics import TOLERANCE_FACTOR, compare_outputs, flatten_outputs, relative_l2, within_tolerance
from hrnet_fast.timing import Timing, interleave
from hrnet_fast.weights.random import fill_weights

GROSS = 10.0  # times torch's own error: beyond that, numbers are wrong in any precision


@dataclass(frozen=True)
class Question:
    """What all runners of a case are asked.

    model: float32, eval mode; x: [N, 3, H, W] in the case's dtype; want: float64 outputs of the plain module for the
    same values; error_torch: relative L2 of the plain module in that dtype, of its two memory formats the larger one.
    """

    model: nn.Module
    x: Tensor
    want: list[Tensor]
    error_torch: float


@dataclass(frozen=True)
class Built:
    """A runner after its build and check; call: only if it may be timed."""

    row: Row
    call: Call | None = None


@dataclass(frozen=True)
class Comparison:
    """rows: ours first; our_call: None unless it passed its check."""

    rows: list[Row]
    our_call: Call | None


@torch.inference_mode()
def ask(case: Case, device: torch.device) -> Question:
    """The model with its weights, the photograph, and the float64 answer."""
    with torch.inference_mode(False):
        model = fill_weights(hrnet_fast.create_model(case.model)).to(device)
    x = photo(case.height, case.width, case.batch).to(device, case.torch_dtype)
    want = flatten_outputs(copy.deepcopy(model).double()(x.double()))
    plain = copy.deepcopy(model).to(case.torch_dtype)
    errors = [
        relative_l2(plain.to(memory_format=layout)(x.contiguous(memory_format=layout)), want)
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    return Question(model, x, want, max(errors))


def checked(case: Case, exact: bool = False) -> tuple[hrnet_fast.OptimizedModule, Question, float]:
    """Ours on the CPU, its question and its error. Errors: ValueError if its numbers are wrong."""
    asked = ask(case, torch.device("cpu"))
    fast = hrnet_fast.optimize(copy.deepcopy(asked.model), dtype=case.torch_dtype, example=asked.x, exact=exact)
    with torch.inference_mode():
        report = compare_outputs(fast(asked.x), asked.want)
    if not within_tolerance(report.error, asked.error_torch):
        raise ValueError(f"{case} is wrong, so nothing was timed: {report}; plain torch errs {asked.error_torch:.2e}")
    return fast, asked, report.error


def judge(outputs: object, question: Question, dtype: str, is_ours: bool) -> tuple[str, str | None, float | None]:
    """Status, reason and error of a runner's outputs.

    All are held to the same bound, twice torch's own error. A rival in reduced precision that misses it, but not
    grossly, is still timed, with the mark "outside tolerance"; anything else that misses it is "wrong" and not timed.
    """
    try:
        report = compare_outputs(outputs, question.want)
    except (ValueError, TypeError) as error:
        return "wrong", str(error), None
    error, limit = report.error, TOLERANCE_FACTOR * question.error_torch
    if within_tolerance(error, question.error_torch):
        return "ok", None, error
    reason = f"{report}; at most {limit:.2e} is allowed"
    mild = math.isfinite(error) and error <= GROSS * question.error_torch
    if mild and dtype != "float32" and not is_ours:
        return "outside tolerance", reason, error
    return "wrong", reason, error if math.isfinite(error) else None


def build(runner: Runner, question: Question, case: Case, is_ours: bool) -> Built:
    """Builds and checks one runner; errors of a rival become a row, ours are raised."""
    device = question.x.device
    memory = PeakMemory(device)
    start = time.perf_counter()
    try:
        call = runner.build(copy.deepcopy(question.model), question.x, case.torch_dtype)
        synchronized(call, device)
        build_s = time.perf_counter() - start
        memory.building_done()
        outputs = synchronized(call, device)
        peak_bytes = memory.bytes()
    except Exception as error:  # a rival may fail in any way; the table says how
        if is_ours:
            raise
        return Built(row_of(case, runner.name, "failed", reason=in_short(error)))
    status, reason, error = judge(outputs, question, case.dtype, is_ours)
    measured = {"build_s": build_s, "peak_bytes": peak_bytes, "error": error, "error_torch": question.error_torch}
    row = row_of(case, runner.name, status, reason=reason, ran=runner.ran(), **measured)
    return Built(row, call if row.timed else None)


@torch.inference_mode()
def compare(
    case: Case,
    ours: Runner,
    rivals: Sequence[Runner],
    *,
    device: torch.device,
    seconds: float,
    left_out: Mapping[str, str],
    progress: Progress,
) -> Comparison:
    """Checks and times ours and the rivals in one case.

    seconds: timing budget; left_out: name of a rival -> why it is not run.
    Errors of ours are raised as they are.
    """
    progress.line(f"\n{case}")
    with progress.step("float64 answer"):
        question = ask(case, device)
    built: list[Built] = []
    for runner in (ours, *rivals):
        reason = left_out.get(runner.name) or runner.refusal(case.torch_dtype, device)
        if reason is not None:
            built.append(Built(row_of(case, runner.name, "not run", reason=reason)))
            continue
        with progress.step(f"build and check {runner.name}{' (takes a minute)' if runner.slow_build else ''}"):
            built.append(build(runner, question, case, runner is ours or runner.is_ours))
    other_work = OtherWork()
    calls = {one.row.executor: partial(synchronized, one.call, device) for one in built if one.call is not None}
    with progress.bar(f"time {len(calls)} runners in turns") as update:
        timings = interleave(calls, budget_s=seconds, progress=update)
    torch.compiler.reset()
    made_from = asdict(made(other_work))
    rows = [replace(_with_times(one.row, timings.get(one.row.executor)), **made_from) for one in built]
    return Comparison(rows, built[0].call)


def _with_times(row: Row, timing: Timing | None) -> Row:
    if timing is None:
        return row
    percentiles = {f"p{q}_us": round(timing.microseconds(q), 1) for q in (10, 50, 90, 99)}
    return replace(row, **percentiles, samples=len(timing.samples))


def synchronized(call: Call, device: torch.device) -> object:
    """The outputs of `call`, once the device is done with them."""
    outputs = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return outputs

"""One way to run a whole network: built, checked against float64, then timed."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.compare import Question, judge, synchronized
from benchmarks.gpu.timing import Effort, isolated, reserved, steady_memory
from benchmarks.runners import Call


@dataclass(frozen=True)
class Ready:
    """A built runner. call: the network once, as its user calls it. replay: its CUDA graph alone, if it has one that
    can be played by itself. extra: more that its row should say."""

    call: Call
    replay: Callable[[], object] | None = None
    extra: tuple[tuple[str, object], ...] = ()


def measure(
    name: str,
    build: Callable[[nn.Module, Question], Ready],
    question: Question,
    dtype: str,
    effort: Effort,
    *,
    is_ours: bool,
    alone: Callable[[], None],
) -> dict[str, object]:
    """The row of one runner. Errors of the runner are raised.

    build: gets its own copy of the model, on the device and in `dtype`. alone: called before what is built is run
    again: from then on nobody else uses the GPU. p10_us, p50_us, p90_us: one call from an idle
    GPU, between events; wall_us: the same by the host's clock; replay_…: the graph alone, once the host has launched
    it; memory_bytes: see `steady_memory`, the model's own weights included; build_s: from the plain module to the first
    result; error, error_torch: relative L2 against float64, ours and plain torch's.
    """
    device = question.x.device
    before = reserved(device)
    start = time.perf_counter()
    model = copy.deepcopy(question.model).to(device, question.x.dtype)
    ready = build(model, question)
    del model
    alone()
    with torch.inference_mode():
        synchronized(ready.call, device)
        row: dict[str, object] = {"name": name, "build_s": round(time.perf_counter() - start, 2), **dict(ready.extra)}
        status, reason, error = judge(synchronized(ready.call, device), question, dtype, is_ours)
        row |= {"status": status, "reason": reason, "error": error, "error_torch": question.error_torch}
        row["memory_bytes"] = steady_memory(ready.call, device, before)
        if status == "wrong":
            return row
        row |= isolated(ready.call, device, effort).row()
        if ready.replay is not None:
            row |= isolated(ready.replay, device, effort, head_start=True).row("replay_")
    return row

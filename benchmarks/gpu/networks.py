"""A network's question, whose float64 answer is kept; and one way to answer it: built, checked, then timed."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

import hrnet_fast
from benchmarks.cases import Case
from benchmarks.compare import Question, ask, judge, synchronized
from benchmarks.gpu.timing import Effort, isolated, reserved, steady_memory
from benchmarks.photo import photo
from benchmarks.runners import Call
from benchmarks.sources import WORK, question_code
from hrnet_fast.engine.gpu.cudnn_settings import cudnn_set
from hrnet_fast.weights.random import fill_weights


@lru_cache(maxsize=1)
def question(case: Case, device: torch.device) -> Question:
    """The model on the CPU in float32, the photograph on `device`, and the float64 answer of the plain module.

    Weights and picture are the same in every process, so that the answer of one serves all.
    """
    path = WORK / "answers" / f"{case}-{device.type}-{question_code()}.pt"
    if not path.exists():
        asked = _asked(case, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part{os.getpid()}")
        torch.save({"want": [y.cpu() for y in asked.want], "error_torch": asked.error_torch}, part)
        os.replace(part, path)
        del asked
        if device.type == "cuda":
            torch.cuda.empty_cache()
    answer = torch.load(path, weights_only=True)
    model = fill_weights(hrnet_fast.create_model(case.model))
    x = photo(case.height, case.width, case.batch).to(device, case.torch_dtype)
    return Question(model, x, answer["want"], answer["error_torch"])


def _asked(case: Case, device: torch.device) -> Question:
    """By a thread of its own: torch keeps the algorithms of cuDNN's convolutions by thread, and those chosen here
    without trials are not for the runners, who ask for the fastest."""

    def answer() -> Question:
        with cudnn_set(benchmark=False):
            return ask(case, device)

    with ThreadPoolExecutor(1) as aside:
        return aside.submit(answer).result()


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
        row |= isolated(ready.call, device, effort)
        if ready.replay is not None:
            row |= isolated(ready.replay, device, effort, head_start=True, prefix="replay_")
    return row

"""The question that every runner of a case answers; its float64 answer is computed once and kept."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

import hrnet_fast
from benchmarks.cases import Case
from benchmarks.compare import Question, ask
from benchmarks.photo import photo
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

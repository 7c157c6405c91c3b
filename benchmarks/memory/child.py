"""One runner in one case: builds it, runs it three times, and says what that took. Its process does nothing else.

`python -m benchmarks.memory.child '{"model": …, "height": …, "width": …, "batch": …, "dtype": …}' RUNNER THREADS FILE`
prints one line of JSON and saves the outputs, for the check, to FILE.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import warnings

import torch

import hrnet_fast
from benchmarks.cases import Case
from benchmarks.peak_memory import PeakMemory
from benchmarks.photo import photo
from benchmarks.runners import RIVALS, HrnetFast
from hrnet_fast.numerics import flatten_outputs
from hrnet_fast.weights.random import fill_weights, without_init

RUNS = 3


@torch.inference_mode()
def main(case: Case, name: str, threads: int, file: str) -> dict[str, int | None]:
    """Bytes beyond what the process held once all was imported.

    building: peak from the plain module to the first result; running: peak of three more calls; kept: after them.
    """
    torch.set_num_threads(threads)
    runner = next(one for one in (HrnetFast(), *RIVALS) if one.name == name)
    for module in runner.needs:
        importlib.import_module(module)
    x = photo(case.height, case.width, case.batch).to(case.torch_dtype)
    memory = PeakMemory(torch.device("cpu"))
    with torch.inference_mode(False):
        with without_init():
            model = hrnet_fast.create_model(case.model)
        fill_weights(model)
    call = runner.build(model, x, case.torch_dtype)
    del model
    outputs = call()
    building = memory.bytes()
    del outputs
    gc.collect()
    memory.building_done()
    for _ in range(RUNS):
        outputs = call()
    running = memory.bytes()
    torch.save([y.clone() for y in flatten_outputs(outputs)], file)
    del outputs
    memory.building_done()
    return {"building": building, "running": running, "kept": memory.bytes()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked, name, threads, file = sys.argv[1:]
    print(json.dumps(main(Case(**json.loads(asked)), name, int(threads), file)))

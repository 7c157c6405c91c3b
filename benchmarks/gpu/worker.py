"""The child process of a job: `python -m benchmarks.gpu.worker JOB`; each row is a line of its output."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings

import torch

from benchmarks.gpu.jobs import BEGUN, PARTS, Emit, Job
from benchmarks.text import in_short

MARK = "@row "
DEAD = 3  # exit status: the GPU answers no more in this process


def work(job: Job, emit: Emit) -> bool:
    """Makes the job's rows one by one; an error becomes a row "failed". False if the GPU is lost to this process."""
    device = torch.device("cpu" if job.dry_run or not torch.cuda.is_available() else "cuda")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # every runner has cuDNN's fastest algorithms
    for name, _ in job.rows():
        try:
            PARTS[job.part].run(job.only({name}), emit, device)
        except Exception as error:  # a runner may fail in any way; its row says how
            emit({"name": name, "status": "failed", "reason": in_short(error)})
        if not _alive(device):
            return False
    return True


def _alive(device: torch.device) -> bool:
    try:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return True


def main() -> int:
    warnings.simplefilter("ignore")
    job = Job.from_json(sys.argv[1])

    def emit(row: dict) -> None:
        print(MARK + json.dumps(row, allow_nan=False), flush=True)
        os.environ[BEGUN] = str(time.monotonic())

    alive = work(job, emit)
    sys.stdout.flush()
    os._exit(0 if alive else DEAD)  # past the farewells of libraries, which can hang once a GPU is lost


if __name__ == "__main__":
    main()

"""A small network played by one executor, for compute-sanitizer: `python -m benchmarks.gpu.small_net EXECUTOR HOW`.

HOW is "graph", as users run it, or "tape": kernel by kernel without a CUDA graph, which needs no memory pool, so that
every tensor can be an allocation of its own (PYTORCH_NO_CUDA_MEMORY_CACHING=1) and a read beyond one be noticed.
Everything but the executor's own work stays on the CPU, so that little else is instrumented.
"""

from __future__ import annotations

import copy
import sys

import torch
from torch import Tensor

import hrnet_fast
from benchmarks.text import in_short
from hrnet_fast.numerics import flatten_outputs, relative_l2, within_tolerance
from hrnet_fast.weights.random import fill_weights

MODEL = "hrnet_w18_small.pose_coco_256x192"
SIZE = (64, 64)


def main(executor: str, how: str, device: torch.device) -> int:
    """Exit status: zero if the outputs are within the tolerance; prints the error, or what broke."""
    model = fill_weights(hrnet_fast.create_model(MODEL))
    torch.manual_seed(0)
    x = torch.randn(1, 3, *SIZE)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    with torch.inference_mode():
        want = flatten_outputs(copy.deepcopy(model).double()(x.double()))
        plain = relative_l2(copy.deepcopy(model).to(dtype)(x.to(dtype)), want)
    try:
        fast = hrnet_fast.optimize(model.to(device, dtype), dtype=dtype, executor=executor, example=x)
        play = graph if how == "graph" else tape
        got = [y.cpu() for y in play(fast, x.to(device, dtype))]
    except Exception as error:
        print(f"{executor}: {in_short(error)}")
        return 1
    error = relative_l2(got, want)
    print(f"{executor}: relative L2 error {error:.2e}, plain torch's on the CPU {plain:.2e}")
    return 0 if within_tolerance(error, plain) else 1


def graph(fast: hrnet_fast.OptimizedModule, x: Tensor) -> list[Tensor]:
    """The outputs of the second call: the first one runs the kernels and captures them."""
    fast(x)
    return flatten_outputs(fast(x))


def tape(fast: hrnet_fast.OptimizedModule, x: Tensor) -> list[Tensor]:
    """The outputs of the executor's kernels, launched one by one. Errors: TypeError for an executor without a tape."""
    work = getattr(getattr(fast.program_for(x).run, "__self__", None), "tape", None)
    if work is None:
        raise TypeError(f"the executor {fast.executor.name!r} keeps no tape")
    with torch.inference_mode():
        work.load([x])
        work.play()
        return work.results()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3], torch.device("cuda" if torch.cuda.is_available() else "cpu")))

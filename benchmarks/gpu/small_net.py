"""A small network played once by one executor, for compute-sanitizer: `python -m benchmarks.gpu.small_net EXECUTOR`.

Everything but the executor's own work stays on the CPU, so that little else is instrumented.
"""

from __future__ import annotations

import copy
import sys

import torch

import hrnet_fast
from benchmarks.gpu.jobs import sentence
from hrnet_fast import testing

MODEL = "hrnet_w18_small.pose_coco_256x192"
SIZE = (64, 64)


def main(executor: str, device: torch.device) -> int:
    """Zero if the outputs are within the tolerance; prints the error, or what broke."""
    model = testing.fill_weights(hrnet_fast.create_model(MODEL))
    torch.manual_seed(0)
    x = torch.randn(1, 3, *SIZE)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    with torch.inference_mode():
        want = testing.flatten_outputs(copy.deepcopy(model).double()(x.double()))
        plain = testing.relative_l2(copy.deepcopy(model).to(dtype)(x.to(dtype)), want)
    try:
        fast = hrnet_fast.optimize(model.to(device, dtype), dtype=dtype, executor=executor, example=x)
        for _ in range(2):  # what runs once and is captured, then the graph
            got = [y.cpu() for y in testing.flatten_outputs(fast(x.to(device, dtype)))]
    except Exception as error:
        print(f"{executor}: {sentence(error)}")
        return 1
    error = testing.relative_l2(got, want)
    print(f"{executor}: relative L2 error {error:.2e}, plain torch's on the CPU {plain:.2e}")
    return 0 if testing.within_tolerance(error, plain) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], torch.device("cuda" if torch.cuda.is_available() else "cpu")))

"""A quick look: checks the numbers, then times the optimized model and the plain one in turns, on random images.
A failed check prints no time and exits with 1. `pytest benchmarks/` in a checkout is the full comparison.
Run it on an idle machine: what else computes there is not noticed."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..arguments import add_device, add_executor, add_input, add_model, model_name, positive
from ..output import CHECK_FAILED, Result, note

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hrnet_fast import OptimizedModule
    from hrnet_fast.timing import Timing

HELP = "check the numbers, then time against plain torch"
EXAMPLES = (
    "hrnet-fast bench hrnet_w32.pose_coco_256x192 --batch 1",
    "hrnet-fast bench hrnet_w48.seg_cityscapes --size 512x1024 --dtype bfloat16 --threads 4 --json",
)
CALLS_PER_ROUND = 3
NO_BUDGET = 1e-9  # seconds: the rounds alone decide how long it takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_input(parser)
    add_executor(parser)
    add_device(parser)
    parser.add_argument(
        "--rounds", type=positive, default=10, metavar="N", help=f"rounds of {CALLS_PER_ROUND} calls (default: 10)"
    )


def run(args: argparse.Namespace) -> Result:
    import torch

    from hrnet_fast import optimize, verify
    from hrnet_fast.timing import interleave

    from ..models import filled_model, images, torch_dtype, weights_from

    model = filled_model(args)
    dtype = torch_dtype(args)
    x = images(args, model)
    fast = optimize(model, dtype=dtype, executor=args.executor, example=x)
    note(f"checking {model_name(args)} against float64 ...")
    report = verify(model, fast, x)
    data = {
        "model": model_name(args),
        "weights": weights_from(args),
        "batch": args.batch,
        "size": list(x.shape[2:]),
        "dtype": args.dtype,
        "executor": fast.executor.name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "passed": report.passed,
        "check": [asdict(output) for output in report.outputs],
        "rows": [],
    }
    if not report.passed:
        return Result(data, f"{report}\nnot timed, as the numbers are wrong", CHECK_FAILED)
    note(f"timing {args.rounds} rounds ...")
    with torch.inference_mode():
        calls = _runners(model, fast, x.to(dtype))
        timings = interleave(calls, budget_s=NO_BUDGET, min_rounds=args.rounds, calls_per_turn=CALLS_PER_ROUND)
    data["rows"] = [_row(name, timing) for name, timing in timings.items()]
    return Result(data, _text(data))


def _runners(model: nn.Module, fast: OptimizedModule, x: Tensor) -> dict[str, Callable[[], object]]:
    """Ours and the plain module in both memory formats, each on an image of its own format."""
    import torch

    plain = copy.deepcopy(model).to(x.dtype)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in verify
    x_last = x.contiguous(memory_format=torch.channels_last)
    return {
        "hrnet_fast": lambda: fast(x),
        "torch, NCHW": lambda: plain(x),
        "torch, channels-last": lambda: last(x_last),
    }


def _row(name: str, timing: Timing) -> dict[str, Any]:
    percentiles = {f"p{q}_us": round(timing.microseconds(q), 1) for q in (50, 90, 99)}
    return {"executor": name, **percentiles, "samples": len(timing.samples)}


def _text(data: dict[str, Any]) -> str:
    size = "x".join(map(str, data["size"]))
    threads = f"{data['threads']} thread{'s' if data['threads'] > 1 else ''}"
    weights = "random weights" if data["weights"] == "random" else "its own weights"
    worst = max(data["check"], key=lambda output: output["error"] / (output["allowed"] or 1.0))
    lines = [
        f"{data['model']}, {data['batch']} x {size}, {data['dtype']}, {threads}, {weights}, torch {data['torch']}",
        f"checked against float64: error {worst['error']:.2e}, torch's own {worst['error_torch']:.2e} "
        f"({data['executor']} executor)",
        "",
        f"{'':<22}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}{'images/s':>10}{'ours is':>10}",
    ]
    ours = data["rows"][0]["p50_us"]
    for row in data["rows"]:
        times = "".join(f"{row[f'p{q}_us'] / 1e3:>10.2f}" for q in (50, 90, 99))
        ratio = "" if row is data["rows"][0] else f"{row['p50_us'] / ours:.2f}x"
        lines.append(f"{row['executor']:<22}{times}{data['batch'] / row['p50_us'] * 1e6:>10.1f}{ratio:>10}".rstrip())
    samples = data["rows"][0]["samples"]
    lines += ["", f"{samples} calls each, in turns; the full comparison with other engines: pytest benchmarks/"]
    return "\n".join(lines)

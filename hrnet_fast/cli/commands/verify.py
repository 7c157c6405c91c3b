"""Compares the optimized model with the plain one: the error of both against float64, on random images.
Exits with 1 if ours is more than twice torch's own in the same dtype."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..arguments import add_device, add_executor, add_input, add_model, add_weights, model_name
from ..output import CHECK_FAILED, Result, note

HELP = "check the numbers against float64"
EXAMPLES = (
    "hrnet-fast verify hrnet_w18.cls_in1k",
    "hrnet-fast verify hrnet_w32.pose_coco_256x192 --weights pose_hrnet_w32_256x192.pth --dtype bfloat16",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_weights(parser)
    add_input(parser)
    add_executor(parser)
    add_device(parser)
    parser.add_argument("--levels", action="store_true", help="also report every item of the plan")


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast import load_weights, optimize, verify

    from ..models import filled_model, images, told, torch_dtype, weights_from

    model = filled_model(args)
    loaded = load_weights(model, args.weights) if args.weights else None
    x = images(args, model)
    fast = optimize(model, dtype=torch_dtype(args), executor=args.executor, example=x)
    note(f"computing {model_name(args)} in float64 and {args.dtype} ...")
    report = verify(model, fast, x, levels=args.levels)
    data = {
        "model": model_name(args),
        "weights": asdict(loaded) if loaded else weights_from(args),
        "input": list(x.shape),
        **asdict(report),
        "passed": report.passed,
    }
    text = f"{told(args, loaded)}\n{report}"
    return Result(data, text, 0 if report.passed else CHECK_FAILED)

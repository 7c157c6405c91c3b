"""The plan that a model is compiled to: level by level what runs together, what it costs, who plays it and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..arguments import add_device, add_executor, add_input, add_model, model_name
from ..output import Result

if TYPE_CHECKING:
    from hrnet_fast.plan import Plan

HELP = "the plan of a model, level by level"
EXAMPLES = (
    "hrnet-fast explain hrnet_w32.pose_coco_256x192",
    "hrnet-fast explain hrnet_w48.seg_cityscapes --size 512x1024 --dtype bfloat16",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_input(parser)
    add_executor(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast import explain

    from ..models import image_shape, torch_dtype, zero_model

    model = zero_model(args)
    plan = explain(model, image_shape(args, model), dtype=torch_dtype(args), executor=args.executor)
    return Result({"model": model_name(args), **plan_data(plan)}, str(plan))


def plan_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON takes it; shapes as lists, values by index."""
    from hrnet_fast.plan.describe import operation

    return {
        "inputs": [plan.values[value].shape for value in plan.inputs],
        "outputs": [plan.values[value].shape for value in plan.outputs],
        "dtype": plan.dtype,
        "machine": plan.machine,
        "map_bytes": plan.map_bytes,
        "levels": [
            {
                "items": [
                    {
                        "name": item.name,
                        "kind": type(item).__name__.lower(),
                        "operation": operation(item, plan),
                        "reads": item.reads,
                        "writes": item.out,
                        "shape": plan.values[item.out].shape,
                    }
                    for item in level.items
                ],
                "flops": level.flops,
                "bytes": level.bytes,
                "roofline_us": level.roofline_us,
                "executor": level.executor,
                "reason": level.reason,
            }
            for level in plan.levels
        ],
    }

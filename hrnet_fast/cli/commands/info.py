"""What a model is: widths, head, sizes and plan; its parameters and multiply-adds beside those that the papers print.
The papers' GFLOPs of pose and classification models are multiply-adds in units of 2^30; no figure is adjusted here."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ..arguments import add_model, model_name, size
from ..output import Result, columns

HELP = "size and cost of a model, beside the papers'"
EXAMPLES = (
    "hrnet-fast info hrnet_w32.pose_coco_256x192",
    "hrnet-fast info hrnet_w48.seg_cityscapes --size 512x1024",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--size", type=size, metavar="HxW", help="height and width in pixels (default: the model's)")


def run(args: argparse.Namespace) -> Result:
    import torch

    from hrnet_fast.models.paper import figures
    from hrnet_fast.plan import Conv, make_plan
    from hrnet_fast.plan.cost import multiply_adds
    from hrnet_fast.saved import SavedNetwork

    from ..models import own_shape, shape_model

    model = shape_model(args)
    config = model.config
    channels, *size = own_shape(args, model)
    height, width = args.size or size
    plan = make_plan(model, torch.empty(1, channels, height, width, device="meta"))
    items = list(plan.items())
    printed = figures(config) if config else None
    data = {
        **({**asdict(config), "size_multiple": config.size_multiple} if config else {}),
        "model": model_name(args),
        "size": [height, width],
        "saved_for": [each[0].shape[2:] for each in model.saved_inputs()] if isinstance(model, SavedNetwork) else None,
        "output_shapes": [list(plan.values[value].shape) for value in plan.outputs],
        "levels": len(plan.levels),
        "items": len(items),
        "convolutions": sum(isinstance(item, Conv) for item in items),
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds": sum(multiply_adds(item, plan) for item in items),
        "printed": asdict(printed) if printed else None,
    }
    return Result(data, _text(data))


def _text(data: dict[str, Any]) -> str:
    height, width = data["size"]
    mega, giga = data["parameters"] / 1e6, data["multiply_adds"] / 1e9
    rows = {
        "input": f"{height}x{width} (height x width{_multiple(data)})",
        "results": ", ".join("x".join(map(str, shape)) for shape in data["output_shapes"]),
        **(_architecture(data) if "architecture" in data else {}),
        "plan": f"{data['levels']} levels, {data['items']} items, {data['convolutions']} of them convolutions",
        "parameters": f"{mega:.3f} M",
        "multiply-adds": f"{giga:.3f} G, or {data['multiply_adds'] / 2**30:.3f} x 2^30: convolutions, linear "
        "layers, products",
        "printed": _printed(data["printed"], data["size"]),
    }
    return f"{data['model']}\n{columns(rows)}"


def _multiple(data: dict[str, Any]) -> str:
    if data["saved_for"]:
        return f"; saved for {', '.join(f'{height}x{width}' for height, width in data['saved_for'])}"
    return f", both multiples of {data['size_multiple']}" if data["size_multiple"] > 1 else ", any other too"


def _architecture(data: dict[str, Any]) -> dict[str, str]:
    body = data["architecture"]
    outputs = f", {data['num_outputs']} outputs" if data["num_outputs"] else ""
    align = f", align_corners={data['align_corners']}" if data["upsample"] == "bilinear" else ""
    return {
        "head": f"{data['head']}{outputs}",
        "widths": ", ".join(map(str, body["widths"])),
        "first stage": f"{body['layer1_blocks']} bottleneck blocks of {body['layer1_planes']} planes",
        "modules": f"{', '.join(map(str, body['modules']))} in stages 2 to 4, of {body['blocks']} {body['block']} "
        "blocks a branch",
        "fusion": f"{data['fusion']}, {data['upsample']} up-sampling{align}",
    }


def _printed(printed: dict[str, Any] | None, size: list[int]) -> str:
    if printed is None:
        return "nothing about this model"
    height, width = printed["input_size"]
    whole = f", whole {printed['whole']}" if printed["whole"] else ""
    at = f" at {height}x{width}" if [height, width] != size else ""
    figures = f"{printed['parameters']} M, {printed['multiply_adds']} GFLOPs"
    return f"{figures}{at}{whole} ({printed['source']})"

"""Writes a network to one file, its weights and what it computes. `hrnet_fast.load` and `hrnet-fast predict` run it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..arguments import add_model_option, add_weights, file_name, size
from ..output import Result

HELP = "write a network to a file that needs no model code"
EXAMPLES = (
    "hrnet-fast save pose.safetensors --model hrnet_w32.pose_coco_256x192 --weights pose_hrnet_w32_256x192.pth",
    "hrnet-fast save seg.safetensors --model hrnet_w48.seg_cityscapes --weights seg.pth --size 512x1024 --size 769x769",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=file_name, metavar="OUT", help="a .safetensors file")
    add_model_option(parser)
    add_weights(parser, required=True)
    parser.add_argument(
        "--size", type=size, action="append", metavar="HxW",
        help="height and width in pixels, once for each size that it is to take (default: the model's)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast import save
    from hrnet_fast.tasks.network import load_all

    from ..models import filled_model, own_shape

    model = filled_model(args)
    loaded = load_all(model, args.weights)
    channels, *size = own_shape(args, model)
    sizes = args.size or [size]
    save(model, args.target, *((1, channels, *each) for each in sizes))
    taken = ", ".join(f"{height}x{width}" for height, width in sizes)
    data = {"model": args.model, "weights": asdict(loaded), "target": args.target, "sizes": sizes}
    return Result(data, f"{loaded}\nwrote {args.target}, for batches of any size of {taken}")

"""Reads a checkpoint of any HRNet code base and writes it with the keys of another (or of ours, the official ones)."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..arguments import NAME, add_model_option, model_name
from ..output import Result

HELP = "rewrite a checkpoint for another code base"
EXAMPLES = (
    "hrnet-fast convert hrnet_w18.safetensors official.pth --model hrnet_w18.cls_in1k",
    "hrnet-fast convert pose.pth mmpose.pth --model hrnet_w32.pose_coco_256x192 --layout mmpose",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help=".pth, .pt, .tar or .safetensors; its layout is found by itself")
    parser.add_argument("target", metavar="OUT", help=".pth, .pt, .pth.tar or .safetensors")
    add_model_option(parser, what=NAME)
    parser.add_argument(
        "--layout",
        default="official",
        help="official, official_seg, official_det, timm, simple_hrnet, mmpose, mmpose0, mmseg, mmdet, mmpretrain or "
        "mm_backbone (default: official)",
    )


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast import create_model, save_weights
    from hrnet_fast.tasks.network import load_all

    from ..models import options

    model = create_model(model_name(args), **options(args))
    report = load_all(model, args.source)
    save_weights(model, args.target, args.layout)
    text = f"{report}\nwrote {args.target} ({args.layout} keys)"
    return Result({**asdict(report), "target": args.target, "target_layout": args.layout}, text)

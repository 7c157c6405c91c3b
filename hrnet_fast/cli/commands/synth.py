"""A small data set in the original files of the one that it is named after: figures, faces and scenes, drawn on
photographs, with annotations that are true of them. The same seed gives the same pictures. `evaluate` reads it with
--root DIR as it reads the real one; scores on it say nothing about a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import UsageError, positive, size
from ..output import Result

HELP = "a small data set that needs no download"
MARK = ".hrnet-fast-synth"
EXAMPLES = (
    "hrnet-fast synth coco --root data/coco --images 16",
    "hrnet-fast synth cityscapes --root data/cityscapes --size 512x1024 --seed 7",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help="coco, mpii, crowdpose, cityscapes, lip, wflw, ...")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="where to write it")
    parser.add_argument("--images", type=positive, default=8, metavar="N", help="pictures (default: 8)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--size", type=size, metavar="HxW", help="of the pictures, in pixels")
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="your own, for the backgrounds")


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast.synthetic import WRITERS, describe_photographs

    if args.dataset not in WRITERS:
        raise UsageError(f"{args.dataset!r} cannot be written; choose one of {', '.join(WRITERS)}")
    _claim(args.root)
    options = {"size": args.size} if args.size else {}
    WRITERS[args.dataset](args.root, args.images, args.seed, photographs=args.photographs, **options)
    backgrounds = describe_photographs(args.photographs)
    data = {"dataset": args.dataset, "root": str(args.root), "images": args.images, "backgrounds": backgrounds}
    pictures = f"{args.images} picture{'s' if args.images > 1 else ''}"
    return Result(data, f"{args.dataset}: {pictures} in {args.root}; backgrounds: {backgrounds}")


def _claim(root: Path) -> None:
    """Marks a folder as one that may be written over. UsageError for one that holds anything else: a real data set."""
    mark = root / MARK
    if root.is_dir() and any(root.iterdir()) and not mark.exists():
        raise UsageError(f"{root} holds files that synth did not write, and might write over: choose a new folder")
    root.mkdir(parents=True, exist_ok=True)
    mark.write_text("hrnet-fast synth draws data sets here, and may write over what is here\n")

"""A model on a data set in its original format, by the task's own metric: the paper's row above ours, and the time of
each stage. A data set that is not there is answered by what to download and where to put it.

Exit code: 0 done, 1 scored, but the results could not be written, 2 bad usage or input, 130 stopped by Ctrl-C."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..arguments import DATASETS, UsageError, add_model_option, positive
from ..output import CHECK_FAILED, Result, note
from ..tasks import RANDOM, add_estimator, is_random, open_estimator, plain_value, task_name

HELP = "a data set's score beside the paper's"
EXAMPLES = (
    "hrnet-fast evaluate --model hrnet_w32.pose_coco_256x192 --weights pose_hrnet_w32_256x192.pth --dataset coco "
    "--root coco",
    "hrnet-fast evaluate --model hrnet_w18.cls_in1k --weights hrnetv2_w18.pth --dataset imagenet --root ILSVRC2012 "
    "--limit 1000",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_option(parser)
    parser.add_argument("--dataset", required=True, metavar="NAME", help=", ".join(DATASETS))
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="where the data set lies")
    parser.add_argument("--split", metavar="NAME", help="default: the one of the paper's row")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    parser.add_argument("--boxes", metavar="FILE", help="coco, crowdpose: detections, or `annotations`")
    parser.add_argument("--labels", metavar="FILE", help="imagenet: lines `name label` (default: ROOT/SPLIT.txt)")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="PATH",
        help="also write them: people, boxes as JSON, segmentation as a folder of PNG",
    )
    parser.add_argument("--server", action="store_true", default=None, help="cityscapes: PNG as its server takes them")
    parser.add_argument("--per-class", action="store_true", default=None, help="segmentation: each class's IoU too")
    add_estimator(parser)


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast.tasks.registry import package_of
    from hrnet_fast.tasks.stages import Stages

    from ..progress import progress_bar

    if args.server and not args.results:
        raise UsageError("--server says how --results FOLDER is written: give that too")
    task = task_name(args)
    package = package_of(task)
    options = ["results", "server", "per_class", "detector"]
    if task != "detection":  # whose classes are a data set's categories by their names
        options.append("names")
    wanted = _supported(package.evaluate, args, f"evaluate with {args.model}", *options)
    dataset = _open_dataset(args, task, package.DATASETS)
    if is_random(args):
        note(f"note: {RANDOM}")
    estimator = open_estimator(args, task)
    total = min(len(dataset), args.limit or len(dataset))
    with progress_bar(args.dataset, total, "image") as progress:
        stages = Stages(estimator.network.device)
        evaluation = package.evaluate(estimator, dataset, limit=args.limit, progress=progress, stages=stages, **wanted)
    return Result(evaluation.to_json(), str(evaluation), 0 if evaluation.written else CHECK_FAILED)


def _open_dataset(args: argparse.Namespace, task: str, datasets: Mapping[str, Callable[..., Any]]) -> Any:
    if args.dataset not in datasets:
        raise UsageError(
            f"{args.model} is for {task}, whose data sets are {', '.join(datasets)}; {args.dataset!r} is none of them"
        )
    opener = datasets[args.dataset]
    options = ("split", "boxes", "labels", "nms", "oks_threshold")
    return opener(args.root, **_supported(opener, args, f"{args.dataset} with {args.model}", *options))


def _supported(function: Callable[..., Any], args: argparse.Namespace, what: str, *options: str) -> dict[str, Any]:
    """Those of the options that were given, as keywords of `function`. UsageError for one that it does not take."""
    given = {name: value for name in options if (value := getattr(args, name)) is not None}
    for name in given:
        if name not in inspect.signature(function).parameters:
            raise UsageError(f"--{name.replace('_', '-')} means nothing for {what}")
    return {name: plain_value(name, value) for name, value in given.items()}

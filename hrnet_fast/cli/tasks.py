"""From arguments to a task, its estimator and its options."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from hrnet_fast.tasks.registry import HEADS, package_of, task_of

from .arguments import UsageError, add_dtype, add_executor, add_weights, positive, size
from .boxes import Boxes

RANDOM = "the weights are random, as no --weights FILE was given: the results mean nothing"

# Options of the estimators, and of their calls: destination -> task that has it -> name of the keyword.
_ESTIMATOR = {
    "flip": dict.fromkeys(("pose", "landmark", "segmentation", "bottom_up"), "flip_test"),
    "shift": {"pose": "shift"},
    "decode": {"pose": "decode"},
    "detector": {"pose": "detector"},
    "nms": {"pose": "nms"},
    "oks_threshold": {"pose": "oks_threshold"},
    "protocol": {"landmark": "protocol"},
    "resize": {"segmentation": "size"},
    "scales": {"segmentation": "scales", "bottom_up": "scales"},
    "short_side": {"bottom_up": "short_side", "detection": "short_side"},
    "refine": {"bottom_up": "refine"},
    "names": {"classification": "names", "detection": "names"},
    "threshold": {"detection": "threshold"},
}
_CALL = {"boxes": {"pose": "boxes", "landmark": "boxes"}, "top": {"classification": "top"}}


def add_estimator(parser: argparse.ArgumentParser) -> None:
    """--weights, --device, --dtype, --executor, and what the tasks' estimators take."""
    add_weights(parser)
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:1 (default: cpu)")
    add_dtype(parser)
    add_executor(parser)
    parser.add_argument(
        "--task", choices=HEADS, metavar="NAME",
        help=f"of a file that was saved from another code base's model: {', '.join(HEADS)}",
    )  # fmt: skip
    group = parser.add_argument_group("of a task")
    group.add_argument(
        "--flip", action=argparse.BooleanOptionalAction, default=None, help="average with the mirror image"
    )
    group.add_argument(
        "--shift",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="pose: move the mirror image's heatmaps by a pixel (default: yes, except with udp)",
    )
    group.add_argument("--decode", metavar="HOW", help="pose: quarter (default), dark or udp")
    group.add_argument(
        "--detector", metavar="FILE", help="pose: finds people where there are no boxes: weights of torchvision's "
        "fasterrcnn_resnet50_fpn, or `torchvision` to download them"
    )  # fmt: skip
    group.add_argument(
        "--nms", metavar="HOW", help="pose: how duplicates are suppressed: hard (default of evaluate), soft or none"
    )
    group.add_argument("--oks-threshold", type=float, metavar="T", help="pose: of --nms (default: 0.9)")
    group.add_argument("--protocol", metavar="NAME", help="landmark: official (default), affine or mmpose")
    group.add_argument(
        "--resize", type=_resize, metavar="HOW", help="segmentation: official (default), native or HEIGHTxWIDTH"
    )
    group.add_argument(
        "--scales", type=_scales, metavar="S,S",
        help="segmentation: views to sum, such as 0.75,1,1.25; bottom_up: to average, such as 0.5,1,2",
    )  # fmt: skip
    group.add_argument(
        "--short-side",
        type=positive,
        metavar="N",
        help="bottom_up, detection: of the picture as it is seen (default: the model's, and 800)",
    )
    group.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="bottom_up: look for the keypoints that a person lacks (default: yes)",
    )
    group.add_argument(
        "--names", metavar="FILE", help="classification, detection: what the classes are called, one a line"
    )
    group.add_argument(
        "--threshold", type=float, metavar="T", help="detection: boxes with lower scores are left out (default: 0.05)"
    )


def _resize(text: str) -> str | tuple[int, int]:
    return text if text in ("official", "native") else size(text)


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0.75,1,1.25") from None


def task_name(args: argparse.Namespace) -> str:
    """The task of a named or saved model. Errors: KeyError, ValueError with a sentence."""
    from hrnet_fast import model_config
    from hrnet_fast.saved import is_saved, read_config

    config = read_config(args.model) if is_saved(args.model) else model_config(args.model)
    own = task_of(config.head) if config else None
    if not (own or args.task):
        raise UsageError(f"'{args.model}' was saved from another code base's model: say by --task what it is for")
    if own and args.task and args.task != own:
        raise UsageError(f"{args.model} is for {own}, not for {args.task}")
    return own or args.task


def is_random(args: argparse.Namespace) -> bool:
    """Whether the network gets random weights: a model that is named, without a checkpoint."""
    from hrnet_fast.saved import is_saved

    return not args.weights and not is_saved(args.model)


def open_estimator(args: argparse.Namespace, task: str) -> Any:
    """The task's estimator, as the arguments ask for."""
    from hrnet_fast.tasks.network import RandomWeightsWarning

    from .models import filled_model, torch_dtype

    package = package_of(task)
    options = estimator_options(args, task)
    if options.get("detector", "torchvision") != "torchvision":
        options["detector"] = package.torchvision_detector(options["detector"], device=args.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)  # the commands say it in their own notes
        estimator = package.Estimator(
            filled_model(args) if args.outputs else args.model,
            args.weights,
            dtype=torch_dtype(args),
            device=args.device,
            executor=args.executor,
            **options,
        )
    estimator.network.random_weights = is_random(args)  # a module, which --outputs makes, does not say
    return estimator


def estimator_options(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """Keywords for the estimator. UsageError for an option of another task."""
    return _given(args, task, _ESTIMATOR)


def all_options(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """The same, with the estimator's own values for those that were not given."""
    parameters = signature(package_of(task).Estimator).parameters
    names = [keywords[task] for keywords in _ESTIMATOR.values() if task in keywords]
    return {**{name: parameters[name].default for name in names}, **estimator_options(args, task)}


@dataclass(frozen=True)
class CallOptions:
    """What each call of an estimator gets: the boxes of its picture, and plain keywords."""

    boxes: Boxes | None
    keywords: dict[str, Any]

    def bind(self, estimator: Any, **more: Any) -> Callable[[Any, Path], Any]:
        """A function of a picture and where it is from."""

        def call(picture: Any, source: Path) -> Any:
            boxes = {"boxes": self.boxes.of(source)} if self.boxes else {}
            return estimator(picture, **boxes, **self.keywords, **more)

        return call


def call_options(args: argparse.Namespace, task: str) -> CallOptions:
    """Errors: UsageError for an option of another task and for a file of boxes that is none."""
    keywords = _given(args, task, _CALL)
    boxes = keywords.pop("boxes", None)
    return CallOptions(Boxes(boxes) if boxes else None, keywords)


def _given(args: argparse.Namespace, task: str, options: dict[str, dict[str, str]]) -> dict[str, Any]:
    given = {}
    for name, keywords in options.items():
        value = getattr(args, name, None)
        if value is not None and task not in keywords:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} belongs to {' and '.join(keywords)}, but {args.model} is for {task}")
        if value is not None:
            given[keywords[task]] = plain_value(name, value)
    return given


def plain_value(option: str, value: Any) -> Any:
    """What an option that was given means: None for `--nms none`, as a file or a split may be called that too."""
    return None if (option, value) == ("nms", "none") else value

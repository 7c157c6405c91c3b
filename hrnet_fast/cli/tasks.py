"""From arguments to a task, its estimator and its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hrnet_fast.tasks.registry import package_of, task_of

from .arguments import UsageError, add_executor, dtype
from .boxes import Boxes

RANDOM = "the weights are random, as no --weights FILE was given: the results mean nothing"

# Options of the estimators, then of their calls: destination -> tasks that have it. The keyword has the same name.
_ESTIMATOR = {"names": ("classification",)}
_CALL = {"top": ("classification",), "boxes": ("pose", "landmark")}


def add_estimator(parser: argparse.ArgumentParser) -> None:
    """--weights, --device, --dtype, --executor, and what the tasks' estimators take."""
    parser.add_argument("--weights", metavar="FILE", help="a checkpoint of any HRNet code base (default: random)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:1 (default: cpu)")
    parser.add_argument("--dtype", type=dtype, default="float32", metavar="DTYPE", help="what the network computes in")
    add_executor(parser)
    parser.add_argument("--names", metavar="FILE", help="classification: what the classes are called, one a line")


def task_name(model: str) -> str:
    """The task of a named model. Errors: KeyError, ValueError with a sentence."""
    from hrnet_fast import model_config

    return task_of(model_config(model).head)


def open_estimator(args: argparse.Namespace, task: str) -> tuple[ModuleType, Any]:
    """The task's package and its estimator, as the arguments ask for."""
    import torch

    from hrnet_fast import create_model

    package = package_of(task)
    model = create_model(args.model, num_outputs=args.outputs) if args.outputs else args.model
    estimator = package.Estimator(
        model,
        args.weights,
        dtype=getattr(torch, args.dtype),
        device=args.device,
        executor=args.executor,
        **estimator_options(args, task),
    )
    return package, estimator


def estimator_options(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """Keywords for the estimator. UsageError for an option of another task."""
    return _given(args, task, _ESTIMATOR)


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


def _given(args: argparse.Namespace, task: str, options: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in options if getattr(args, name, None) is not None}
    for name in given:
        if task not in options[name]:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} belongs to {' and '.join(options[name])}, but {args.model} is for {task}")
    return given

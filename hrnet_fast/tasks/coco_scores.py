"""What COCO's own evaluator says of results, and the file of them that its server takes."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .files import replacing
from .optional import coco_tools


def coco_stats(
    annotations: dict[str, Any],
    results: list[dict[str, Any]],
    groups: Sequence[list[int]],
    kind: str,
    categories: Sequence[int],
    adjust: Callable[[Any], None] = lambda params: None,
) -> list[list[float]]:
    """COCOeval.stats over each group of images, by their ids.

    annotations: the contents of a COCO annotation file. results: COCO's results format. kind: "keypoints" or "bbox".
    categories: ids of those that count. adjust: changes COCOeval's params.
    """
    coco = coco_tools()
    from pycocotools.cocoeval import COCOeval

    stats = []
    with contextlib.redirect_stdout(io.StringIO()):  # it prints each of its steps
        truth = coco.COCO()
        # its evaluator takes an object with the id 0 for none, and one whose id another has for that
        entries = [{**entry, "id": number} for number, entry in enumerate(annotations["annotations"], 1)]
        truth.dataset = {**annotations, "annotations": entries}
        truth.createIndex()
        if results:
            found = truth.loadRes([dict(row) for row in results])
        else:  # loadRes cannot take an empty list
            found = coco.COCO()
            found.dataset = {name: annotations[name] for name in ("images", "categories")} | {"annotations": []}
            found.createIndex()
        for images in groups:
            evaluation = COCOeval(truth, found, kind)
            evaluation.params.imgIds, evaluation.params.catIds = sorted(set(images)), list(categories)
            adjust(evaluation.params)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            stats.append(torch.as_tensor(evaluation.stats).tolist())
    return stats


def check_target(path: str | os.PathLike[str]) -> None:
    """OSError where `write_results` could not write: to be known before hours of work. Leaves what is there."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    with contextlib.suppress(_Enough), replacing(path) as part:
        part.touch()
        raise _Enough


class _Enough(Exception):
    """Ends `replacing` before it replaces anything."""


def write_results(path: str | os.PathLike[str], results: list[dict[str, Any]]) -> None:
    """Writes COCO's results format for COCO's server; whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(results))

"""Pictures, folders of them and videos in; annotated pictures or videos and JSON lines out, in --out DIR:
results.jsonl has one line a picture, a video's frames are in a file of their own beside its drawing, and label maps of
pictures are PNG. What results.jsonl already has is not computed again, so an interrupted run goes on where it stopped.

Exit code: 0 all done, 1 something could not be read (it is listed with the reason), 2 bad usage or input, 130 stopped
by Ctrl-C."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import add_model_option, positive
from ..output import CHECK_FAILED, Result, note
from ..tasks import RANDOM, CallOptions, add_estimator, all_options, call_options, is_random, open_estimator, task_name

if TYPE_CHECKING:
    from ..inputs import Item
    from ..ledger import Ledger
    from ..prediction import Prediction

HELP = "pictures and videos in, results out"
EXAMPLES = (
    "hrnet-fast predict photo.jpg --model hrnet_w32.pose_coco_256x192 --weights pose_hrnet_w32_256x192.pth",
    "hrnet-fast predict street/ --model hrnet_w48.seg_cityscapes --weights hrnet_w48_cityscapes.pth --out labels",
    "hrnet-fast predict street/ --model hrnet_w32.faster_rcnn_coco --weights faster_rcnn_hrnetv2p_w32_2x_coco.pth",
    "hrnet-fast predict clip.mp4 --model hrnet_w18.landmark_wflw --weights HR18-WFLW.pth --boxes faces.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PATH", help="pictures, videos, folders of them")
    add_model_option(parser)
    parser.add_argument("--out", type=Path, default=Path("predictions"), metavar="DIR", help="default: predictions")
    parser.add_argument(
        "--no-pictures", action="store_true", help="draw nothing; segmentation still writes its label maps"
    )
    add_estimator(parser)
    group = parser.add_argument_group("of what is drawn and written")
    group.add_argument("--boxes", type=Path, metavar="FILE", help='pose, landmark: JSON {"a.jpg": [[x, y, w, h]]}')
    group.add_argument("--top", type=positive, metavar="N", help="classification: classes a picture (default: 5)")


def run(args: argparse.Namespace) -> Result:
    from hrnet_fast.tasks.registry import package_of

    from ..inputs import check_kept, list_items
    from ..ledger import Ledger, contents
    from ..models import weights_from

    task = task_name(args)
    options = call_options(args, task)
    about = {
        "model": args.model,
        "weights": weights_from(args),
        "outputs": args.outputs,
        "dtype": args.dtype,
        "boxes": str(args.boxes) if args.boxes else None,
        **all_options(args, task),
        **options.keywords,
        **contents((args.model, args.weights, args.names, args.detector)),
    }
    ledger = Ledger(args.out, about)
    labels = hasattr(package_of(task), "save_labels")
    items, before = list_items(args.inputs, args.out, ledger.done, labels)
    check_kept(items, args.out, not args.no_pictures, labels)
    notes = _of_before(args, ledger)
    prediction = _predict(args, task, options, ledger, items) if items else None
    return _result(args, task, prediction, before, notes)


def _of_before(args: argparse.Namespace, ledger: Ledger) -> list[str]:
    """What a reader must know of results that an earlier run has left."""
    notes = []
    if args.boxes and ledger.done and args.boxes.stat().st_mtime > ledger.path.stat().st_mtime:
        notes.append(f"{args.boxes} was written after what was done before, which keeps the boxes of then")
    if not args.no_pictures and (undrawn := sum("picture" not in files for files in ledger.done.values())):
        notes.append(f"{undrawn} of the results of before have no drawings: choose another --out to draw them too")
    return notes


def _predict(
    args: argparse.Namespace, task: str, options: CallOptions, ledger: Ledger, items: list[Item]
) -> Prediction:
    from hrnet_fast.tasks.registry import package_of
    from hrnet_fast.tasks.stages import Stages

    from ..prediction import Prediction
    from ..progress import progress_bar

    if is_random(args):
        note(f"note: {RANDOM}")
    estimator = open_estimator(args, task)
    stages = Stages(estimator.network.device)
    predict = options.bind(estimator, stages=stages)
    prediction = Prediction(package_of(task), predict, ledger, stages, not args.no_pictures)
    with progress_bar(task, len(items), "file") as progress:
        try:
            prediction.run(items, progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{len(prediction.done)} of {len(items)} are done; the same command goes on from there"
            ) from None
    return prediction


def _result(
    args: argparse.Namespace, task: str, prediction: Prediction | None, before: int, notes: list[str]
) -> Result:
    from ..models import weights_from

    done, skipped = (prediction.done, prediction.skipped) if prediction else ([], [])
    notes = ([RANDOM] if is_random(args) else []) + notes + (prediction.notes if prediction else [])
    if prediction and prediction.whole:
        ways = "--boxes FILE or --detector FILE" if task == "pose" else "--boxes FILE"
        one = {"pose": "person", "landmark": "face"}[task]
        notes.append(
            f"{prediction.whole} of {prediction.images} images had no boxes, so the whole image was taken for one "
            f"{one}: give {ways}"
        )
    data: dict[str, Any] = {
        "task": task,
        "model": args.model,
        "weights": weights_from(args),
        "results": str(args.out / "results.jsonl"),
        "done": len(done),
        "done_before": before,
        "skipped": skipped,
        "images": prediction.images if prediction else 0,
        "seconds": prediction.stages.seconds if prediction else {},
        "notes": notes,
    }
    return Result(data, _text(data), CHECK_FAILED if skipped else 0)


def _text(data: dict[str, Any]) -> str:
    from hrnet_fast.tasks.evaluation import WIDTH, stage_table

    counts = [f"{data['done']} done"]
    counts += [f"{data['done_before']} done before"] if data["done_before"] else []
    counts += [f"{len(data['skipped'])} skipped"] if data["skipped"] else []
    lines = [f"{data['model']}: {', '.join(counts)}; results are in {data['results']}"]
    for text in data["notes"]:
        lines += textwrap.wrap(f"note: {text}", WIDTH, subsequent_indent="      ")
    if data["images"]:
        lines += ["", *stage_table(data["seconds"], data["images"])]
    if data["skipped"]:
        lines += ["", "skipped:", *(f"  {_skipped(**entry)}" for entry in data["skipped"])]
    return "\n".join(lines)


def _skipped(source: str, reason: str) -> str:
    return reason if source in reason else f"{source}: {reason}"

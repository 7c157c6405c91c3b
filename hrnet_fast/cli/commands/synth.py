"""A small data set in the original files of the one that it is named after: figures, faces and scenes, drawn on
photographs, with annotations that are true of them. The same seed gives the same pictures. `evaluate` reads it with
--root DIR as it reads the real one; scores on it say nothing about a model."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hrnet_fast.tasks.files import replacing
from hrnet_fast.tasks.optional import opencv

from ..arguments import DATASETS, UsageError, positive, size
from ..output import Result

HELP = "a small data set that needs no download"
MARK = ".hrnet-fast-synth"
EXAMPLES = (
    "hrnet-fast synth coco --root data/coco --images 16",
    "hrnet-fast synth cityscapes --root data/cityscapes --size 512x1024 --seed 7",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help=", ".join(DATASETS))
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
    with TemporaryDirectory(dir=args.root, prefix=f"{MARK}-") as folder:
        try:
            WRITERS[args.dataset](folder, args.images, args.seed, photographs=args.photographs, **options)
        except (MemoryError, opencv().error) as error:
            raise RuntimeError(f"the pictures cannot be drawn; give a smaller --size: {error}") from error
        _replace(args.root, Path(folder), args.dataset)
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
    if not mark.exists():
        _write_mark(root, {})


def _replace(root: Path, folder: Path, dataset: str) -> None:
    """Moves the files of a data set from `folder` to `root`, in place of those that its last run has left there."""
    written = _files(root)
    for name in written.get(dataset, []):
        _remove(root, name)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
    folders = {name for name in names if (folder / name).is_dir()}
    _write_mark(root, {**written, dataset: [name for name in names if name not in folders]})
    for name in names:  # a folder, though empty, comes before what is in it
        (root / name).mkdir(exist_ok=True) if name in folders else os.replace(folder / name, root / name)


def _remove(root: Path, name: str) -> None:
    """Removes a file, and the folders that it leaves empty: of ImageNet each is a class."""
    (root / name).unlink(missing_ok=True)
    with suppress(OSError):  # a folder that is not empty, as root at last, which has its mark
        for folder in Path(name).parents:
            (root / folder).rmdir()


def _files(root: Path) -> dict[str, list[str]]:
    """Data set -> its files below root, as the mark says; a mark of an older version says nothing."""
    try:
        return json.loads((root / MARK).read_text(encoding="utf-8"))["files"]
    except ValueError:
        return {}


def _write_mark(root: Path, files: dict[str, list[str]]) -> None:
    about = "hrnet-fast synth draws data sets here, and may write over what is here"
    with replacing(root / MARK) as part:
        part.write_text(json.dumps({"about": about, "files": files}), encoding="utf-8")

"""What a person names on the command line, as a list of pictures and videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hrnet_fast.tasks.video import is_video

from .arguments import UsageError
from .ledger import ABOUT, RESULTS

# What is taken from a folder; a file that is named itself may have any suffix.
SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
})  # fmt: skip
_DRAWN = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True)
class Item:
    """source: the path as it was named. picture: where it is drawn, below the output folder. video: or a picture."""

    source: Path
    picture: Path
    video: bool

    @property
    def key(self) -> str:
        return self.source.as_posix()

    @property
    def labels(self) -> Path:
        """Where the labels of a picture are, below the output folder, if the task saves them."""
        return self.picture.with_name(f"{self.picture.name}.labels.png")

    @property
    def lines(self) -> Path:
        """Where the results of a video's frames are, below the output folder."""
        return self.picture.with_name(f"{self.picture.name}.jsonl")

    def files(self, labels: bool) -> set[str]:
        """All that may be written of it. labels: whether the task saves them."""
        beside = [self.lines] if self.video else [self.labels] if labels else []
        return {path.as_posix() for path in (self.picture, *beside)}


def list_items(
    named: Sequence[Path], out: Path, done: Mapping[str, Mapping[str, str]], labels: bool
) -> tuple[list[Item], int]:
    """What is to do: files as they are named; of folders, all pictures and videos below them, sorted, except `out`.

    done: sources that are left out -> kinds and names of their files, which are not used again. labels: whether the
        task saves them beside its drawings.
    Returns the items and how many were left out. Errors: FileNotFoundError for a name that is not there; UsageError if
    nothing was found.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for path in named:
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}")
        sources = _below(path, out) if path.is_dir() else [path]
        for source in sources:
            found.setdefault(source.as_posix(), (source, source.relative_to(path if path.is_dir() else path.parent)))
    if not found:
        raise UsageError(f"there are no pictures or videos in {', '.join(map(str, named))}")
    taken = {name for names in done.values() for name in names.values()}
    items = []
    for key, (source, name) in found.items():
        if key not in done:
            item = _unused(Item(source, _drawn(name), is_video(source)), taken, labels)
            taken |= item.files(labels)
            items.append(item)
    return items, len(found) - len(items)


def check_kept(items: Sequence[Item], out: Path, drawings: bool, labels: bool) -> None:
    """UsageError if what is written below `out` would take the place of a picture or video that is to be read.

    drawings, labels: whether these are written.
    """
    sources = {os.path.realpath(item.source): item.source for item in items}

    def replaced(written: Path) -> Path | None:
        return sources.get(os.path.realpath(out / written))

    for item in items:
        if drawings and (source := replaced(item.picture)):
            raise UsageError(
                f"--out {out} is where {source} lies, and its drawing would replace it: choose another folder, or "
                "--no-pictures"
            )
        if labels and not item.video and (source := replaced(item.labels)):
            raise UsageError(
                f"--out {out} is where {source} lies, and the label map of {item.source} would replace it: choose "
                "another folder"
            )


def _below(folder: Path, out: Path) -> Iterator[Path]:
    avoided = os.path.abspath(out)
    for parent, folders, files in os.walk(folder):
        if parent != os.fspath(folder) and (os.path.abspath(parent) == avoided or {RESULTS, ABOUT} <= set(files)):
            folders.clear()  # drawings, of this run or of an earlier one
            continue
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and (path.suffix.lower() in SUFFIXES or is_video(path)):
                yield path


def _drawn(name: Path) -> Path:
    """JPEG and PNG stay what they are, other pictures become PNG, videos MP4."""
    if is_video(name):
        return name if name.suffix.lower() == ".mp4" else name.with_name(f"{name.name}.mp4")
    return name if name.suffix.lower() in _DRAWN else name.with_name(f"{name.name}.png")


def _unused(item: Item, taken: set[str], labels: bool) -> Item:
    """Of two pictures with one name, from two folders, the second becomes `name-2`."""
    number, free = 2, item
    while free.files(labels) & taken:
        free = replace(item, picture=item.picture.with_stem(f"{item.picture.stem}-{number}"))
        number += 1
    return free

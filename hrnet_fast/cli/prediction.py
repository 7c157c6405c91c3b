"""One picture or video after another: results into JSON lines, drawings beside them."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hrnet_fast.tasks.boxes import IMAGE
from hrnet_fast.tasks.files import replacing
from hrnet_fast.tasks.images import read_image
from hrnet_fast.tasks.stages import Stages
from hrnet_fast.tasks.video import VideoReader, VideoWriter

from .inputs import Item
from .ledger import Ledger
from .output import to_json

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL import Image

JPEG = {"quality": 92}
MAX_JPEG = 65500  # pixels of a side (libjpeg: JPEG_MAX_DIMENSION)
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What one item's files can meet while others' are written: its name, or what lies where its drawing belongs.
_OF_ONE = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOMEM)

Predict = Callable[["ndarray", Path], Any]  # (picture (H, W, 3) uint8, where it is from) -> result


class Prediction:
    """Runs `predict` over items, and keeps count.

    package: the task's, for `draw` and `to_json`. drawings: whether pictures are drawn.
    done: sources whose results are in the ledger. skipped: what could not be read or drawn, with the reason. notes:
    what else a reader must know. images: pictures and frames that were predicted. whole: of these, how many had no
    boxes, so that all of the picture was taken for one person or face.
    """

    def __init__(self, package: ModuleType, predict: Predict, ledger: Ledger, stages: Stages, drawings: bool) -> None:
        self._package, self._predict, self._ledger, self._drawings = package, predict, ledger, drawings
        self.stages = stages
        self.done: list[str] = []
        self.skipped: list[dict[str, str]] = []
        self.notes: list[str] = []
        self.images = 0
        self.whole = 0

    def run(self, items: Sequence[Item], progress: Callable[[int], object]) -> None:
        """Errors: OSError with what to do where results cannot be written, and RuntimeError of the network, naming the
        item. What was done is then in the ledger."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._ledger.locked())
            except OSError as error:
                raise _with_advice(error, self._ledger.folder, self._how(items)) from error
            self._run(items, progress)

    def _run(self, items: Sequence[Item], progress: Callable[[int], object]) -> None:
        for item in items:
            try:
                record = self._video(item) if item.video else self._picture(item)
                with self.stages("write"):
                    self._ledger.add(record)
                self.done.append(item.key)
            except (ValueError, MemoryError, RuntimeError, OSError) as error:
                if not _is_of_one(error):
                    raise _with_advice(error, self._ledger.folder, self._how(items), item.key) from error
                self.skipped.append({"source": item.key, "reason": _reason(error)})
            progress(1)

    def _how(self, items: Sequence[Item]) -> str:
        return f"{len(self.done)} of {len(items)} are done, and the same command goes on from there"

    def _picture(self, item: Item) -> dict[str, Any]:
        with self.stages("read"), warnings.catch_warnings(record=True) as told:
            for kind in (UserWarning, RuntimeWarning):  # Pillow's, of damaged tags and of very large pictures
                warnings.simplefilter("always", kind)
            pixels = read_image(item.source).numpy()
        self.notes += [f"{item.key}: {_one_line(warning.message)}" for warning in told]
        result = self._predict(pixels, item.source)
        self.images += 1
        self._look_at(result)
        record = {"source": item.key, "size": list(pixels.shape[:2]), **self._package.to_json(result)}
        record |= self._save_labels(item, result)
        if self._drawings:
            with self.stages("draw"):
                drawing = self._package.draw(pixels, result)
            with self.stages("write"):
                _save(drawing, self._ledger.folder / item.picture)
            record["picture"] = item.picture.as_posix()
        return record

    def _look_at(self, result: Any) -> None:
        """Pose, landmarks: notes a picture that was taken whole, as it had no boxes."""
        if isinstance(result, list) and any(getattr(one, "box_source", None) == IMAGE for one in result):
            self.whole += 1

    def _save_labels(self, item: Item, result: Any) -> dict[str, str]:
        """Segmentation: the labels themselves, beside the drawing."""
        if not hasattr(self._package, "save_labels"):
            return {}
        with self.stages("write"):
            self._package.save_labels(result, self._ledger.folder / item.labels)
        return {"labels": item.labels.as_posix()}

    def _video(self, item: Item) -> dict[str, Any]:
        """Results of the frames go into a file of their own, which appears with the drawn video when both are whole."""
        reader = VideoReader(item.source)
        with (
            replacing(self._ledger.folder / item.lines) as part,
            open(part, "w", encoding="utf-8") as file,
            VideoWriter(self._ledger.folder / item.picture, reader.fps) as writer,
        ):
            frames = 0
            while (frame := self._next(reader)) is not None:
                result = self._predict(frame, item.source)
                self.images += 1
                self._look_at(result)
                if self._drawings:
                    self._add_drawing(writer, frame, result)
                place = {"frame": frames, "time": round(frames / reader.fps, 4)}
                file.write(to_json({**place, **self._package.to_json(result)}) + "\n")
                frames += 1
            file.flush()  # a disk that is full by now must not leave the video without its results
        record = {"source": item.key, "frames": frames, "fps": reader.fps, "results": item.lines.as_posix()}
        if reader.cut_off:
            self.notes.append(reader.cut_off)
            record["note"] = reader.cut_off
        return {**record, "picture": item.picture.as_posix()} if self._drawings else record

    def _next(self, reader: VideoReader) -> ndarray | None:
        with self.stages("read"):
            frame = next(reader, None)
        return None if frame is None else frame.numpy()

    def _add_drawing(self, writer: VideoWriter, frame: ndarray, result: Any) -> None:
        with self.stages("draw"):
            drawing = getattr(self._package, "draw_frame", self._package.draw)(frame, result)
        with self.stages("write"):
            writer.add(drawing)


def _save(drawing: Image.Image, path: Path) -> None:
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    if jpeg and max(drawing.size) > MAX_JPEG:
        size = f"{drawing.width} x {drawing.height}"
        raise ValueError(f"its drawing of {size} pixels is more than the {MAX_JPEG} of a JPEG's side")
    with replacing(path) as part:
        drawing.save(part, "JPEG" if jpeg else "PNG", **(JPEG if jpeg else {}))


def _is_of_one(error: Exception) -> bool:
    """Whether an error is of one picture or video, so that the others can be done."""
    if isinstance(error, OSError):
        return isinstance(error, FileNotFoundError) or error.errno in _OF_ONE
    if isinstance(error, RuntimeError):  # torch's, which has no kind of its own for the CPU's memory
        return "tried to allocate" in str(error).lower()
    return True


def _reason(error: Exception) -> str:
    short = isinstance(error, (MemoryError, RuntimeError))
    return "there is not enough memory for it" if short else _one_line(error)


def _one_line(error: Exception | str) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _with_advice(error: Exception, folder: Path, how: str, source: str = "") -> Exception:
    """The error, saying what is done and, if it was met there, at which source."""
    at = f" at {source}" if source else ""
    if not isinstance(error, OSError):
        return RuntimeError(f"the run ended{at}: {_one_line(error)}; {how}")
    if error.errno in _FULL:
        return OSError(f"the disk of {folder} is full: free some space; {how}")
    return OSError(f"writing to {folder} failed{at}: {error.strerror or _one_line(error)}; {how}")

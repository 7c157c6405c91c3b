"""Videos as frames, and frames as videos, by OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .images import ImageError
from .optional import opencv

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"})

_FPS = 25.0  # for a file that does not say how fast it plays


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in SUFFIXES


class VideoReader:
    """The frames of a video, one after another: `for frame in VideoReader(path)`, each uint8 (H, W, 3) RGB.

    fps: frames a second. frames: how many the file claims to have, 0 if it does not say. read: how many were given so
    far. A rotation that the file asks for is applied. At the end `cut_off` is a sentence if fewer frames could be read
    than are claimed, else None.
    Errors: FileNotFoundError; ImageError for a file of which not even the first frame can be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._cv2 = opencv()
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"there is no video {path}")
        self._capture = self._cv2.VideoCapture(str(path))
        self.fps = self._property(self._cv2.CAP_PROP_FPS) or _FPS
        self.frames = int(self._property(self._cv2.CAP_PROP_FRAME_COUNT))
        self.cut_off: str | None = None
        self.read = 0
        self._ahead = self._read() if self._capture.isOpened() else None
        if self._ahead is None:
            raise ImageError(f"{path} is not a video that OpenCV can read, or it is damaged")

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        frame, self._ahead = self._ahead, None
        if frame is None:
            frame = self._read()
        if frame is None:
            self._capture.release()
            if self.read < self.frames:
                self.cut_off = (
                    f"{self.path} ends after {self.read} of the {self.frames} frames that it claims to have: "
                    "it is cut off or damaged there"
                )
            raise StopIteration
        self.read += 1
        return frame

    def _read(self) -> Tensor | None:
        there, frame = self._capture.read()
        return torch.from_numpy(self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)) if there else None

    def _property(self, name: int) -> float:
        value = self._capture.get(name)
        return value if np.isfinite(value) and value > 0 else 0.0


class VideoWriter:
    """Writes an MP4 (MPEG-4 part 2), whole or not at all: `with VideoWriter(path, fps) as video: video.add(picture)`.

    The file appears under its name when the block ends well; else what was written is removed. All pictures must have
    the size of the first one; a last odd row or column is left out, as the format has none.
    Errors: ValueError for a picture of another size; OSError where the video cannot be written, also when the disk is
    full, of which OpenCV itself says nothing.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        self._cv2 = opencv()
        self.path, self.fps, self.frames = Path(path), fps, 0
        self._part = self.path.with_name(f".{self.path.stem}.part.mp4")
        self._writer: Any = None
        self._size = (0, 0)

    def add(self, picture: Image.Image) -> None:
        """picture: RGB."""
        size = (picture.width & -2, picture.height & -2)
        if self._writer is None:
            self._size = size
            codec = self._cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = self._cv2.VideoWriter(str(self._part), codec, self.fps, size)
            if not self._writer.isOpened():
                raise OSError(f"OpenCV cannot write {self.path}: is the folder writable, and the disk not full?")
        if size != self._size:
            raise ValueError(f"frame {self.frames} of {self.path} is {size} pixels, but the first one is {self._size}")
        pixels = np.asarray(picture.convert("RGB"))[: size[1], : size[0], ::-1]
        self._writer.write(np.ascontiguousarray(pixels))
        self.frames += 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
        try:
            if kind is None and self._writer is not None:
                self._check()
                os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)

    def _check(self) -> None:
        capture = self._cv2.VideoCapture(str(self._part))
        written = int(capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if written != self.frames:
            counts = f"{max(written, 0)} of {self.frames} frames"
            raise OSError(f"only {counts} of {self.path} were written: is the disk full?")

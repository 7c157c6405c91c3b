"""What the readers of all data sets share: samples, and label images read without a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..images import reason_of
from ..optional import pillow
from .classes import IGNORE, ClassSet


@dataclass(frozen=True)
class Sample:
    """One annotated picture.

    key: unique within the split. image: its file. truth(): (H, W) uint8, 255 where nothing is counted; None for a split
    without annotations. instances(): (H, W) int32 as Cityscapes' instanceIds; None where the data set has none.
    """

    key: str
    image: Path
    truth: Callable[[], Tensor] | None = None
    instances: Callable[[], Tensor] | None = None


class LabelledPictures:
    """A data set in the order of its keys: `len`, iteration over Samples.

    name, split: of the data set. classes: what its labels mean. root: where it lies.
    """

    name: str
    split: str
    classes: ClassSet

    def __init__(self, root: Path, samples: Sequence[Sample]) -> None:
        self.root, self._samples = root, samples

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.root}, {self.split}: {len(self)} pictures)"


def own_labels(classes: int) -> Tensor:  # (256,) uint8: a table for `read_labels`
    """Of label images that hold our labels, 0 to classes - 1, and 255 where nothing is counted."""
    table = torch.full((256,), 254, dtype=torch.uint8)
    table[:classes] = torch.arange(classes)
    table[IGNORE] = IGNORE
    return table


def read_labels(path: Path, table: Tensor) -> Tensor:  # (H, W) uint8
    """The numbers in a label image: grey levels, or the indices of a palette; `table` (256,) uint8 maps them.

    Errors: FileNotFoundError; ValueError for a file that is no label image of 8 bits, or (254 in `table`) for a number
    that means nothing.
    """
    values = _read(path)
    if values.dtype != np.uint8 or values.ndim != 2:
        raise ValueError(f"{path} is no label image: it holds {values.dtype} of shape {values.shape}, not 8-bit labels")
    labels = torch.from_numpy(values)
    mapped = table[labels.int()]
    if (unknown := mapped == 254).any():
        raise ValueError(f"{path} holds the label {int(labels[unknown][0])}, which its data set does not have")
    return mapped


def read_instances(path: Path) -> Tensor:  # (H, W) int32
    """The numbers in an image of 16 (or 32) bits. Errors as `read_labels`."""
    values = _read(path)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise ValueError(f"{path} is no instance image: it holds {values.dtype} of shape {values.shape}")
    return torch.from_numpy(values.astype(np.int32))


def _read(path: Path) -> np.ndarray:
    pil = pillow()
    try:
        with pil.open(path) as image:
            return np.array(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no label image {path}: the annotations are incomplete") from None
    except pil.UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture, or it is damaged at its beginning") from None
    except Exception as error:  # Pillow's readers raise many kinds for a damaged file
        raise ValueError(f"{path} is cut off or damaged: {reason_of(error)}") from None

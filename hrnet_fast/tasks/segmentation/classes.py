"""What the labels of a data set mean: names, colours, and the pairs that a mirror exchanges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..mirror import mirrored
from . import cityscapes_labels

IGNORE = 255  # the label of pixels that no metric counts (TRAIN.IGNORE_LABEL of the official configs)


@dataclass(frozen=True)
class ClassSet:
    """The classes of a data set; a label is an index into `names`.

    palette: RGB of each class. mirrored: pairs of classes that change places when the picture is flipped.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mirrored: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise ValueError(f"{self.name} has {len(self.names)} classes and {len(self.palette)} colours")
        if any(len(colour) != 3 or not all(0 <= level <= 255 for level in colour) for colour in self.palette):
            raise ValueError(f"a colour of {self.name} is not three numbers from 0 to 255")
        if any(not 0 <= label < len(self) for pair in self.mirrored for label in pair):
            raise ValueError(f"{self.name} mirrors a class that is none of its {len(self)}: {self.mirrored}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mirror(self) -> tuple[int, ...]:
        """Class c of a picture is class mirror[c] of its mirror image."""
        return tuple(mirrored(len(self), self.mirrored))

    def colours(self) -> Tensor:  # (256, 3) uint8, black for labels that are no class
        """A table that turns labels into RGB."""
        table = torch.zeros(256, 3, dtype=torch.uint8, device="cpu")
        table[: len(self)] = torch.tensor(self.palette, dtype=torch.uint8, device="cpu")
        return table


def voc_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """The palette of PASCAL VOC: bits 0, 3, 6, ... of a label are red's bits 7, 6, 5, ...; green has bits 1, 4, 7, ...
    and blue 2, 5, 8, ... (VOCdevkit: VOClabelcolormap.m)."""
    colours = []
    for label in range(count):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colours.append((rgb[0], rgb[1], rgb[2]))
    return tuple(colours)


CITYSCAPES = ClassSet(
    "cityscapes",
    tuple(label.name for label in cityscapes_labels.TRAINED),
    tuple(label.colour for label in cityscapes_labels.TRAINED),
)

# Look into Person: the order of the annotations; left and right as lib/datasets/lip.py swaps them. Colours: the data
# set's own, as its visualisations (and mmsegmentation's LIPDataset) have them.
LIP = ClassSet(
    "lip",
    (
        "background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants",
        "jumpsuits", "scarf", "skirt", "face", "left-arm", "right-arm", "left-leg", "right-leg", "left-shoe",
        "right-shoe",
    ),
    (
        (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85), (0, 119, 221),
        (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0), (0, 0, 255), (51, 170, 221), (0, 255, 255),
        (85, 255, 170), (170, 255, 85), (255, 255, 0), (255, 170, 0),
    ),
    mirrored=((14, 15), (16, 17), (18, 19)),
)  # fmt: skip

# PASCAL-Context: the 59 frequent classes among its 459, in the order of their ids there, which is the alphabet's. (The
# masks that mmsegmentation and the detail API write have this order; mmsegmentation's list of names has another one.)
_CONTEXT = (
    "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle", "building", "bus",
    "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow", "cup", "curtain", "dog", "door", "fence",
    "floor", "flower", "food", "grass", "ground", "horse", "keyboard", "light", "motorbike", "mountain", "mouse",
    "person", "plate", "platform", "pottedplant", "road", "rock", "sheep", "shelves", "sidewalk", "sign", "sky", "snow",
    "sofa", "table", "track", "train", "tree", "truck", "tvmonitor", "wall", "water", "window", "wood",
)  # fmt: skip
PASCAL_CONTEXT60 = ClassSet("pascal_context60", ("background", *_CONTEXT), voc_colours(60))
PASCAL_CONTEXT59 = ClassSet("pascal_context59", _CONTEXT, voc_colours(60)[1:])

_SETS = {classes.name: classes for classes in (CITYSCAPES, LIP, PASCAL_CONTEXT59, PASCAL_CONTEXT60)}


def class_set(name: str) -> ClassSet:
    """The classes of "cityscapes", "lip", "pascal_context59" or "pascal_context60". ValueError for another name."""
    if name not in _SETS:
        raise ValueError(f"there is no class set {name!r}; choose one of {', '.join(_SETS)}")
    return _SETS[name]


def classes_of(outputs: int) -> ClassSet:
    """The class set that has so many classes; for a number that none has, numbered classes."""
    for classes in _SETS.values():
        if len(classes) == outputs:
            return classes
    return numbered(outputs)


def numbered(outputs: int) -> ClassSet:
    """Classes of which no more is known than their number, in VOC's colours."""
    return ClassSet("numbered", tuple(f"class {i}" for i in range(outputs)), voc_colours(outputs))

"""ImageNet (ILSVRC2012) and any folder of class folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from .devkit import find_devkit, read_devkit
from .labels import read_labels

# torchvision.datasets.folder.IMG_EXTENSIONS
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

_HOW = (
    "download ILSVRC2012_img_val.tar from image-net.org and lay it out as {root}/{split}/n01440764/*.JPEG (one folder "
    "a class), or unpack it into {root}/{split} with ILSVRC2012_devkit_t12 or a list {split}.txt of `name label` lines "
    "beside that folder"
)


@dataclass(frozen=True)
class Sample:
    """image: the file. label: index of its class. key: its path inside the split, unique."""

    image: Path
    label: int
    key: str


class ImageNet:
    """Pictures with class labels, in the order of torchvision's ImageFolder.

    root: holds `split` (or images/`split`, as in the official repository), and there
        one folder a class: classes are numbered in the order of their names, WordNet ids for ImageNet; or
        the flat pictures of ILSVRC2012_img_val.tar, in folders too if `labels` is given, with their labels in
            `labels` (default root/<split>.txt): lines `name label`, a label being a number from 0 or a WordNet id; or
            root/ILSVRC2012_devkit_t12 (meta.mat and ILSVRC2012_validation_ground_truth.txt; needs SciPy).
    classes: name of each class by label: the folders' names, or the devkit's WordNet ids; empty if a list gave numbers.
    num_classes: how many there are, by the folders, the list or the devkit.
    Errors: FileNotFoundError that says what to download and where to put it; ValueError for labels that do not fit.
    """

    name = "ImageNet"

    def __init__(
        self, root: str | os.PathLike[str], split: str = "val", *, labels: str | os.PathLike[str] | None = None
    ) -> None:
        self.root, self.split = Path(root), split
        folder = next((f for f in (self.root / split, self.root / "images" / split) if f.is_dir()), None)
        if folder is None:
            raise FileNotFoundError(f"there is no folder {self.root / split}: {_HOW.format(root=root, split=split)}")
        folders = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        if labels is None and folders:
            self.classes, self._samples = tuple(folders), _folder_samples(folder, folders)
            self.num_classes = len(folders)
        else:
            self.classes, self.num_classes, self._samples = self._flat(folder, labels)

    def _flat(self, folder: Path, labels: str | os.PathLike[str] | None) -> tuple[tuple[str, ...], int, list[Sample]]:
        found = _pictures(folder)
        paths = {path.name: path for path in found}
        if not found:
            raise FileNotFoundError(f"{folder} holds no pictures: {_HOW.format(root=self.root, split=self.split)}")
        path = Path(labels) if labels else self.root / f"{self.split}.txt"
        if labels or path.is_file():
            classes, of = read_labels(path)
        elif devkit := find_devkit(self.root):
            classes, of = read_devkit(devkit, list(paths))
        else:
            raise FileNotFoundError(f"{folder} has no labels: {_HOW.format(root=self.root, split=self.split)}")
        if double := next((path for path in found if paths[path.name] != path), None):
            raise ValueError(f"{double} and {paths[double.name]} have one name, and labels go by names: rename one")
        if missing := [name for name in paths if name not in of]:
            raise ValueError(f"{len(missing)} pictures of {folder} have no label, the first is {missing[0]}")
        samples = [Sample(path, of[name], str(path.relative_to(folder))) for name, path in paths.items()]
        return classes, len(classes or set(of.values())), samples

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"ImageNet({self.root}, {self.split}: {len(self)} pictures, {self.num_classes} classes)"


def _folder_samples(folder: Path, classes: list[str]) -> list[Sample]:
    samples = []
    for label, name in enumerate(classes):
        paths = _pictures(folder / name)
        if not paths:
            raise FileNotFoundError(
                f"the class folder {folder / name} holds no pictures ({', '.join(EXTENSIONS)}): remove or fill it"
            )
        samples += [Sample(path, label, str(path.relative_to(folder))) for path in paths]
    return samples


def _pictures(folder: Path) -> list[Path]:
    """The picture files below a folder: folders by path, files by name."""
    found = []
    for parent, _, names in sorted(os.walk(folder, followlinks=True)):
        found += [Path(parent, name) for name in sorted(names) if name.lower().endswith(EXTENSIONS)]
    return found


DATASETS = MappingProxyType({"imagenet": ImageNet})

"""The labels of ImageNet's validation pictures from ILSVRC2012_devkit_t12.

Its readme.txt: line i of ILSVRC2012_validation_ground_truth.txt is the ILSVRC2012_ID of the i-th picture, from 1;
meta.mat's `synsets` gives each id its WordNet id. Classifiers number the classes in the order of the WordNet ids.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..files import read_text
from ..matlab import reading_mat

CLASSES = 1000  # of the challenge; meta.mat also lists inner nodes of the tree, with higher ids
TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"


def find_devkit(root: Path) -> Path | None:
    """The folder with both files: root, root/data, or that of the unpacked devkit below root."""
    folders = (root, root / "data", root / "ILSVRC2012_devkit_t12" / "data")
    return next((f for f in folders if (f / TRUTH).is_file() and (f / META).is_file()), None)


def read_devkit(folder: Path, names: list[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """(WordNet ids by label, file name -> label) of the pictures `names`.

    Errors: ValueError for files that are not the devkit's, and for a picture without a number or beyond the list.
    """
    wnids = _wnids(folder / META)
    classes = tuple(sorted(wnids.values()))
    label = {wnid: position for position, wnid in enumerate(classes)}
    try:
        truth = [label[wnids[int(line)]] for line in read_text(folder / TRUTH).split()]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{folder / TRUTH} holds {error}, which is not an id of {META}") from None
    return classes, {name: truth[_number(name, len(truth)) - 1] for name in names}


def _number(name: str, count: int) -> int:
    match = re.search(r"(\d+)\.\w+$", name)
    if match is None or not 1 <= int(match[1]) <= count:
        raise ValueError(f"{name} is not one of ILSVRC2012_val_00000001.JPEG to {count:08d}, so it has no label")
    return int(match[1])


def _wnids(path: Path) -> dict[int, str]:
    """ILSVRC2012_ID -> WordNet id of the challenge's classes."""
    with reading_mat(path, "the devkit's meta.mat", squeeze_me=True, struct_as_record=True) as content:
        pairs = {int(entry["ILSVRC2012_ID"]): str(entry["WNID"]) for entry in content["synsets"].ravel()}
    return {number: wnid for number, wnid in pairs.items() if 1 <= number <= CLASSES}

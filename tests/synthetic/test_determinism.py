"""The same seed gives the same picture, in every process; the background never changes what is annotated."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hrnet_fast.synthetic import (
    WRITERS,
    background,
    describe_photographs,
    face_scene,
    figure_scene,
    parsing_scene,
    photographs,
    place_scene,
    street_scene,
)

SCENES = {
    "figures": lambda seed, **options: figure_scene(seed, (120, 160), **options),
    "face": lambda seed, **options: face_scene(seed, (96, 96), **options),
    "street": lambda seed, **options: street_scene(seed, (96, 192), **options),
    "place": lambda seed, **options: place_scene(seed, (96, 144), **options),
    "parsing": lambda seed, **options: parsing_scene(seed, (120, 80), **options),
}


def digest(value):
    """Of arrays, and of dataclasses, lists and dicts of them."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value)).hexdigest()
    if isinstance(value, dict):
        return str(sorted(value.items()))
    if isinstance(value, list | tuple):
        return str([digest(item) for item in value])
    return str([digest(item) for item in vars(value).values()]) if hasattr(value, "__dict__") else str(value)


@pytest.mark.parametrize("name", SCENES)
def test_a_seed_is_a_picture(name):
    first, again, other = SCENES[name](4), SCENES[name](4), SCENES[name](5)
    np.testing.assert_array_equal(first[0], again[0])
    assert digest(first[1]) == digest(again[1])
    assert first[0].flags.c_contiguous
    assert first[0].dtype == np.uint8
    assert (first[0] != other[0]).mean() > 0.3
    assert digest(first[1]) != digest(other[1])


@pytest.fixture
def folder(tmp_path):
    """Somebody's own photographs."""
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 256, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("no photograph")
    return tmp_path


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("source", ["own", "none"])
def test_the_background_changes_the_picture_and_not_the_truth(name, source, folder, monkeypatch):
    picture, truth = SCENES[name](2)
    if source == "none":
        monkeypatch.setattr(photographs, "_sample", lambda: None)
    place = {"photographs": folder} if source == "own" else {}
    other, same = SCENES[name](2, **place)
    assert (picture != other).any()
    assert digest(truth) == digest(same)


def test_it_says_where_the_background_comes_from(folder, monkeypatch):
    assert describe_photographs() == "matplotlib's sample photograph"
    assert describe_photographs(folder) == f"2 photographs of {folder}"
    monkeypatch.setattr(photographs, "_sample", lambda: None)
    assert describe_photographs() == "generated texture"
    import random

    assert background(random.Random(0), (40, 60)).std() > 3


def test_a_folder_without_photographs_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no photograph"):
        figure_scene(0, (60, 80), photographs=tmp_path)


def test_a_damaged_photograph_is_one_sentence(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(ValueError, match=r"a.jpg cannot be read as a photograph"):
        face_scene(0, (60, 80), photographs=tmp_path)


@pytest.mark.parametrize("name", SCENES)
def test_small_and_odd_sizes(name):
    draw = {"figures": figure_scene, "face": face_scene, "street": street_scene, "place": place_scene}
    scene = draw.get(name, parsing_scene)
    for size in ((32, 32), (33, 170), (170, 33)):
        for seed in range(3):
            picture, _ = scene(seed, size)
            assert picture.shape == (*size, 3)
    with pytest.raises(ValueError, match="the size is 31 x 40; pictures need at least 32 pixels a side"):
        scene(0, (31, 40))


def test_annotations_are_the_same_on_every_machine():
    """Numbers that the machine computed on which this was written."""
    _, people = figure_scene(8, (240, 320), people=2, crowds=False)
    got = [[person.area, *person.keypoints[[0, 9, 16]].ravel().tolist()] for person in people]
    assert got == [
        [1471, 256.57, 61.03, 1.0, 239.42, 94.41, 2.0, 262.14, 133.4, 2.0],
        [5549, 79.0, 74.67, 2.0, 125.07, 130.03, 2.0, 122.59, 196.81, 2.0],
    ]
    _, face = face_scene(7, (128, 128))
    assert face.landmarks[[0, 54, 97]].ravel().tolist() == [43.671, 54.73, 65.858, 74.387, 75.217, 56.883]
    _, street = street_scene(7, (96, 192))
    assert np.bincount(street.label_ids.ravel(), minlength=34)[[7, 23, 26]].tolist() == [6918, 1649, 142]


_SCRIPT = """
import sys, pathlib, hashlib
from hrnet_fast.synthetic import WRITERS
root = pathlib.Path(sys.argv[1])
for name in ("coco", "300w", "mpii", "crowdpose"):
    WRITERS[name](root / name, 2, size=(96, 128))
"""


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_same_bytes_in_every_process(tmp_path):
    for hashing in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hashing}
        subprocess.run([sys.executable, "-c", _SCRIPT, str(tmp_path / hashing)], env=environment, check=True)
    first, second = files(tmp_path / "1"), files(tmp_path / "2")
    assert len(first) == 5 + 4 + 4 + 4
    assert first == second


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_data_set_is_its_seed(name, tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        WRITERS[name](tmp_path / folder, 2, seed, (80, 112))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")

"""Folders in ImageNet's layouts, small and made of noise."""

import numpy as np
import pytest
from PIL import Image

WNIDS = ("n01440764", "n01443537", "n02084071")


def save_noise(path, height, width, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folders(tmp_path):
    """Three class folders with two pictures each, written in an order that is not the right one."""
    for label in (2, 0, 1):
        for number in (1, 0):
            name = f"{WNIDS[label]}_{number}.{'png' if number else 'JPEG'}"
            save_noise(tmp_path / "val" / WNIDS[label] / name, 40 + label, 60 + number, seed=10 * label + number)
    return tmp_path


@pytest.fixture
def flat(tmp_path):
    """Four pictures as ILSVRC2012_img_val.tar names them, without labels."""
    for number in range(1, 5):
        save_noise(tmp_path / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", 30, 40, seed=number)
    return tmp_path

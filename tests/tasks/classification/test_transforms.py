"""The ImageNet crop against torchvision on Pillow, which is what the official code runs."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from hrnet_fast.tasks.classification.transforms import resize_crop
from hrnet_fast.tasks.images import ImageError

SIZES = [(333, 500), (500, 333), (256, 256), (100, 80), (801, 1203), (31, 997), (224, 301), (1, 1), (7, 3)]


def noise(height, width):
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def official(pixels, size):
    """tools/valid.py of HRNet-Image-Classification, before ToTensor."""
    steps = transforms.Compose([transforms.Resize(int(size / 0.875)), transforms.CenterCrop(size)])
    return np.asarray(steps(Image.fromarray(pixels)))


@pytest.mark.parametrize(("height", "width"), SIZES, ids=lambda side: str(side))
@pytest.mark.parametrize("size", [224, 33])
def test_within_one_grey_level_of_torchvision(height, width, size):
    pixels = noise(height, width)
    ours = resize_crop(torch.from_numpy(pixels), (size, size)).numpy()
    want = official(pixels, size)
    assert ours.shape == want.shape
    assert np.abs(ours.astype(int) - want).max() <= 1


def test_a_slice_of_a_larger_picture_is_read_where_it_lies():
    pixels = torch.from_numpy(noise(70, 90))
    inner = pixels[3:60:1, 5:80]
    assert torch.equal(resize_crop(inner, (33, 33)), resize_crop(inner.contiguous(), (33, 33)))


def test_a_thread_of_pixels_is_refused_before_it_fills_the_memory():
    with pytest.raises(ImageError, match="5000 x 3 pixels is too narrow"):
        resize_crop(torch.zeros(3, 5000, 3, dtype=torch.uint8), (224, 224))

"""Resizing against Pillow, normalising against torchvision."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.tasks.pixels import normalise, resize_bilinear

SIZES = {
    "down": ((75, 93), (31, 40)),
    "half": ((64, 96), (32, 48)),
    "up": ((20, 17), (61, 64)),
    "mixed": ((90, 11), (13, 50)),
    "one-pixel": ((1, 1), (9, 4)),
    "columns-only": ((40, 50), (40, 21)),
    "same": ((8, 6), (8, 6)),
}


def pillow(pixels, size):
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.BILINEAR)).astype(int)


@pytest.mark.parametrize("case", SIZES)
@pytest.mark.parametrize(("exact", "levels"), [(False, 1), (True, 0)], ids=["fast", "exact"])
def test_pillow_to_one_grey_level_or_exactly(case, exact, levels):
    before, after = SIZES[case]
    pixels = np.random.default_rng(1).integers(0, 256, (*before, 3), dtype=np.uint8)
    ours = resize_bilinear(torch.from_numpy(pixels), after, exact=exact).numpy()
    assert np.abs(ours - pillow(pixels, after)).max() <= levels


@pytest.mark.parametrize("case", SIZES)
def test_the_path_of_other_devices(case):
    """What a GPU runs, run here: only its rounding of ties differs from Pillow's."""
    before, after = SIZES[case]
    pixels = np.random.default_rng(2).integers(0, 256, (*before, 3), dtype=np.uint8)
    ours = resize_bilinear(Elsewhere(torch.from_numpy(pixels)), after).numpy()
    assert np.abs(ours - pillow(pixels, after)).max() <= 1


class Elsewhere:
    """A tensor on the CPU that says it is not."""

    device = torch.device("meta")

    def __init__(self, tensor):
        self.tensor, self.shape = tensor, tensor.shape

    def permute(self, *dims):
        return self.tensor.permute(*dims)

    def numpy(self):
        return self.tensor.numpy()


def test_strides_do_not_matter():
    pixels = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
    planes = pixels.permute(1, 2, 0)[2:39, 1:]
    assert torch.equal(resize_bilinear(planes, (20, 20)), resize_bilinear(planes.contiguous(), (20, 20)))


def test_normalise_equals_to_tensor_and_normalize():
    pixels = list(np.random.default_rng(3).integers(0, 256, (2, 8, 6, 3), dtype=np.uint8))
    steps = transforms.Compose([
        transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])  # fmt: skip
    want = torch.stack([steps(p) for p in pixels])
    mean, std = (np.array(values).reshape(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    exact = (np.moveaxis(np.stack(pixels), 3, 1) / 255 - mean) / std
    got = normalise([torch.from_numpy(p) for p in pixels])
    assert within_tolerance(relative_l2(got, exact), relative_l2(want, exact))

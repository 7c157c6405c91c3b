"""affine_crop against cv2.warpAffine, to one grey level."""

import platform

import cv2
import numpy as np
import pytest
import torch

from hrnet_fast.kernels import affine_crop, affine_crop_ref
from hrnet_fast.numerics import relative_l2, within_tolerance
from tests.kernels.cases import assert_refused, assert_refused_alike, by_body, by_implementation, needs_test_ops

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def cuda_threads(image, matrices, size, mean, std, flip=False):
    """The threads of the CUDA kernel on the CPU, one after another."""
    return torch.ops.hrnet_fast_testing.affine_crop_threads(image, matrices, size, mean, std, flip)


every_crop = by_implementation("crop", affine_crop, affine_crop_ref, cuda_threads)
by_op = by_implementation("crop", affine_crop, cuda_threads)


def noise(height=120, width=161):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def matrices(count, size, picture, far=0.3):
    """Scales from 1/5 to 5, any rotation, centres up to `far` sides outside the picture."""
    generator = np.random.default_rng(1)
    maps = np.empty((count, 2, 3))
    for m in maps:
        angle, scale = generator.uniform(-np.pi, np.pi), np.exp(generator.uniform(-1.6, 1.6))
        m[:, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = generator.uniform(-far, 1 + far, 2) * picture.shape[1::-1]
        m[:, 2] = np.array(size[::-1]) / 2 - m[:, :2] @ centre
    return maps


def levels(out):
    """Back from normalised values to grey levels."""
    return (out.double() * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) * 255


@every_crop
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)], ids=["64x48", "33x17", "1x1"])
@pytest.mark.parametrize("picture", [(120, 161), (7, 5), (1, 1), (1, 40)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_crops_are_opencvs_to_one_grey_level(crop, size, picture):
    image = noise(*picture)
    maps = matrices(12, size, image)
    want = np.stack([cv2.warpAffine(image, m, size[::-1], flags=cv2.INTER_LINEAR) for m in maps])
    got = levels(crop(torch.from_numpy(image), torch.from_numpy(maps), size, MEAN, STD))
    difference = (got - torch.from_numpy(want).permute(0, 3, 1, 2)).abs()
    assert difference.max() < 1.001
    assert (difference > 0.5).float().mean() < 0.01  # a level is missed only where a half is rounded


@every_crop
def test_whole_grey_levels_are_normalised(crop):
    image = torch.from_numpy(noise())
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=torch.float64)
    got = crop(image, identity, image.shape[:2], MEAN, STD)
    exact, plain = (
        (image.permute(2, 0, 1).to(dtype) / 255 - torch.tensor(MEAN, dtype=dtype).view(3, 1, 1))
        / torch.tensor(STD, dtype=dtype).view(3, 1, 1)
        for dtype in (torch.float64, torch.float32)
    )
    assert got.shape == (1, 3, *image.shape[:2]) and got.is_contiguous()
    assert within_tolerance(relative_l2(got[0], exact), relative_l2(plain, exact))


@every_crop
@pytest.mark.parametrize("centre", [(1e4, 0), (-1e9, 3), (1e30, -1e30)], ids=["far", "farther", "beyond-integers"])
def test_outside_the_picture_all_is_black(crop, centre):
    m = torch.tensor([[[1.0, 0, -centre[0]], [0, 1, -centre[1]]]], dtype=torch.float64)
    got = levels(crop(torch.from_numpy(noise()), m, (4, 5), MEAN, STD))
    assert not got.round(decimals=3).any()  # black is -mean / std in float32, which comes back with an error


@by_op
@pytest.mark.parametrize("view", ["rows", "columns", "planes", "mirrored-planes"])
def test_every_layout_is_read_where_it_lies(crop, view):
    image = torch.from_numpy(noise())
    larger = torch.from_numpy(noise(124, 330))
    views = {
        "rows": larger[2:122, 7:168],
        "columns": larger[2:122, 1:323:2],
        "planes": image.permute(2, 0, 1).contiguous().permute(1, 2, 0),
        "mirrored-planes": image.permute(2, 1, 0).contiguous().permute(2, 1, 0),
    }
    maps = torch.from_numpy(matrices(5, (20, 30), noise()))
    got, want = (crop(x, maps, (20, 30), MEAN, STD) for x in (views[view], views[view].contiguous()))
    assert torch.equal(got, want)


@by_body
@pytest.mark.parametrize("size", [(24, 48), (33, 17), (2, 1)], ids=["24x48", "33x17", "2x1"])
@needs_test_ops
def test_every_instruction_set_gives_the_crops(body, size):
    image, maps = torch.from_numpy(noise()), torch.from_numpy(matrices(12, size, noise()))
    got = torch.ops.hrnet_fast_testing.affine_crop_body(image, maps, size, MEAN, STD, True, body)
    difference = (levels(got) - levels(affine_crop_ref(image, maps, size, MEAN, STD, True))).abs()
    assert difference.max() < 1.001
    assert (difference > 0.5).float().mean() < 0.01


@needs_test_ops
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere multiply-adds may round once")
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
@pytest.mark.parametrize("flip", [False, True], ids=["plain", "flip"])
def test_cuda_and_the_portable_kernel_give_the_same_bits(count, flip):
    image, maps = torch.from_numpy(noise()), torch.from_numpy(matrices(count, (9, 7), noise(), far=1.5))
    arguments = image, maps, (9, 7), MEAN, STD, flip
    assert torch.equal(cuda_threads(*arguments), torch.ops.hrnet_fast_testing.affine_crop_body(*arguments, "portable"))


@every_crop
def test_mirror_images_come_second(crop):
    image, maps = torch.from_numpy(noise()), torch.from_numpy(matrices(3, (20, 31), noise()))
    both, once = (crop(image, maps, (20, 31), MEAN, STD, flip) for flip in (True, False))
    assert torch.equal(both[:3], once) and torch.equal(both[3:], once.flip(3))


@by_op
def test_op_and_reference_agree(crop):
    image, maps = torch.from_numpy(noise()), torch.from_numpy(matrices(9, (40, 30), noise()))
    got, want = (levels(each(image, maps, (40, 30), MEAN, STD)) for each in (crop, affine_crop_ref))
    assert (got - want).abs().max() < 1.001


@by_op
def test_no_matrices_give_no_crops(crop):
    empty = torch.zeros(0, 2, 3, dtype=torch.float64)
    assert crop(torch.from_numpy(noise()), empty, (4, 4), MEAN, STD).shape == (0, 3, 4, 4)


def test_opcheck():
    arguments = (torch.from_numpy(noise()), torch.from_numpy(matrices(2, (6, 5), noise())), [6, 5], MEAN, STD)
    for flip in (False, True):
        torch.library.opcheck(torch.ops.hrnet_fast.affine_crop.default, (*arguments, flip))


IMAGE = torch.zeros(4, 4, 3, dtype=torch.uint8)
M = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=torch.float64)
SINGULAR = torch.cat((M, torch.zeros_like(M)))
BAD = {
    "planes-first": (
        (IMAGE.permute(2, 0, 1), M, (2, 2), MEAN, STD),
        ValueError,
        "affine_crop: the picture has shape (3, 4, 4); (height, width, 3) is needed",
    ),
    "floats": (
        (IMAGE.float(), M, (2, 2), MEAN, STD),
        TypeError,
        "affine_crop: the picture is torch.float32; uint8 is needed",
    ),
    "one-matrix": (
        (IMAGE, M[0], (2, 2), MEAN, STD),
        ValueError,
        "affine_crop: the matrices have shape (2, 3); (N, 2, 3) is needed",
    ),
    "float32-matrices": (
        (IMAGE, M.float(), (2, 2), MEAN, STD),
        TypeError,
        "affine_crop: the matrices are torch.float32 on cpu; float64 on the cpu is needed",
    ),
    "singular": (
        (IMAGE, SINGULAR, (2, 2), MEAN, STD),
        ValueError,
        "affine_crop: matrix 1, [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], has no inverse",
    ),
    "nan": (
        (IMAGE, M * torch.nan, (2, 2), MEAN, STD),
        ValueError,
        "affine_crop: matrix 0, [[nan, nan, nan], [nan, nan, nan]], has no inverse",
    ),
    "size": (
        (IMAGE, M, (2, 0), MEAN, STD),
        ValueError,
        "affine_crop: size (2, 0) is not (height, width) with both at least 1",
    ),
    "std": (
        (IMAGE, M, (2, 2), MEAN, (1.0, 0.0, 1.0)),
        ValueError,
        "affine_crop: mean (0.485, 0.456, 0.406) and std (1.0, 0.0, 1.0) must be three numbers, std above 0",
    ),
}


@pytest.mark.parametrize(("arguments", "kind", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence(arguments, kind, sentence):
    assert_refused(affine_crop, arguments, kind, sentence)


DIRECT = {
    "planes-first": (IMAGE.permute(2, 0, 1), M, (2, 2), MEAN, STD),
    "no-rows": (IMAGE[:0], M, (2, 2), MEAN, STD),
    "floats": (IMAGE.float(), M, (2, 2), MEAN, STD),
    "one-matrix": (IMAGE, M[0], (2, 2), MEAN, STD),
    "float32-matrices": (IMAGE, M.float(), (2, 2), MEAN, STD),
    "size": (IMAGE, M, (2, 0), MEAN, STD),
    "mean": (IMAGE, M, (2, 2), MEAN[:2], STD),
}


@needs_test_ops
@pytest.mark.parametrize("arguments", DIRECT.values(), ids=DIRECT)
def test_a_direct_call_is_refused_alike_on_both_devices(arguments):
    assert_refused_alike(torch.ops.hrnet_fast.affine_crop, cuda_threads, *arguments, False)

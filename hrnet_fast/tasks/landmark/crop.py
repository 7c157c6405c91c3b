"""From faces in a picture to the network's input.

Source: lib/utils/transforms.py of HRNet-Facial-Landmark-Detection: crop, which its evaluation runs, and crop_v2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...kernels import affine_crop
from ..pixels import MEAN, STD, normalise, resize_bilinear
from .boxes import Square
from .protocol import Protocol


def crop_faces(
    image: Tensor,  # (H, W, 3) uint8 RGB
    squares: Sequence[Square],  # N
    size: int,
    protocol: Protocol,
) -> Tensor:  # (N, 3, size, size) float32, normalised, on the picture's device
    """Cuts out squares and brings them to `size`, black outside the picture."""
    if protocol.crop == "affine":
        return affine_crop(image, crop_matrices(squares, size, protocol.shift), (size, size), MEAN, STD)
    return normalise([official_crop(image, square, size) for square in squares])


def crop_matrices(
    squares: Sequence[Square], size: int, shift: float = 0.0
) -> Tensor:  # (N, 2, 3) float64: points of the picture to points of the crop
    """get_affine_transform without rotation; `shift` moves the face right and down in the crop."""
    matrices = torch.zeros(len(squares), 2, 3, dtype=torch.float64, device="cpu")
    for matrix, (x, y, side) in zip(matrices, squares):
        scale = size / side
        matrix[0, 0] = matrix[1, 1] = scale
        matrix[0, 2], matrix[1, 2] = size / 2 - scale * x + shift, size / 2 - scale * y + shift
    return matrices


def official_crop(
    image: Tensor,  # (H, W, 3) uint8
    square: Square,
    size: int,
) -> Tensor:  # (size, size, 3) uint8
    """crop: the region's corners become whole pixels, and Pillow's bilinear filter resizes it.

    As there, a face of over twice the size is first brought near to it with the whole picture, and each resize
    stretches its grey levels to 0..255 (scipy.misc.imresize does so with the float32 pixels that it is given).
    """
    height, width = image.shape[:2]
    x, y, side = square
    factor = side / size
    if factor >= 2:
        scaled = int(height / factor), int(width / factor)
        if max(scaled) < 2:
            return image.new_zeros(size, size, 3)
        image = resize_bilinear(_stretch(image), (max(scaled[0], 1), max(scaled[1], 1)), exact=True)
        (height, width), (x, y, side) = image.shape[:2], (x / factor, y / factor, side / factor)
    (left, top), (right, bottom) = _corners(x, y, side, size)
    right, bottom = max(right, left + 1), max(bottom, top + 1)  # a box of less than a pixel
    region = image.new_zeros(bottom - top, right - left, 3)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    inside = image[rows, columns]
    if inside.numel():
        below, beside = rows.start - top, columns.start - left
        region[below : below + inside.shape[0], beside : beside + inside.shape[1]] = inside
    return resize_bilinear(_stretch(region), (size, size))


def _corners(x: float, y: float, side: float, size: int) -> list[list[int]]:
    """transform_pixel of (0, 0) and (size, size), which cuts towards zero: [left, top], [right, bottom]."""
    scale = size / side
    transform = np.array([
        [scale, 0, size * (-x / side + 0.5)],
        [0, scale, size * (-y / side + 0.5)],
        [0, 0, 1],
    ])  # fmt: skip
    inverse = np.linalg.inv(transform)
    return [((inverse @ (corner - 1.0, corner - 1.0, 1.0))[:2].astype(int) + 1).tolist() for corner in (0, size)]


def _stretch(image: Tensor) -> Tensor:
    """bytescale of scipy.misc: the levels from lowest to highest become 0..255."""
    low, high = (int(bound) for bound in image.aminmax())
    if low == high:
        return torch.zeros_like(image)
    if (low, high) == (0, 255):
        return image
    return ((image.float() - low) * (255 / (high - low)) + 0.5).to(torch.uint8)

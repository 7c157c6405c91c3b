"""Pixels on their way into a network: resized as Pillow or OpenCV do, normalised as the ImageNet protocol does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .images import ImageError
from .optional import opencv, pillow

# Of RGB in 0..1; tools/valid.py of HRNet-Image-Classification, lib/datasets/wflw.py of the landmarks' repository, and
# lib/datasets/base_dataset.py of the segmentation's.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MAX_ASPECT = 100  # of a picture's sides: beyond it one resized by its short side would fill the memory


def check_aspect(height: int, width: int, purpose: str) -> None:
    """ImageError for a picture with one side over 100 times as long as the other."""
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageError(f"a picture of {width} x {height} pixels is too narrow {purpose}: crop it first")


def resize_bilinear(
    image: Tensor,  # (H, W, 3) uint8
    size: tuple[int, int],  # (h, w)
    *,
    exact: bool = False,
) -> Tensor:  # (h, w, 3) uint8, on the picture's device
    """Bilinear with antialiasing: within one grey level of Pillow's `Image.resize((w, h), BILINEAR)`.

    exact: on a CPU, Pillow itself does it, three times as slowly; for a picture that is resized again, since the levels
        by which torch differs (0.4 % of them) would add up.
    """
    if tuple(image.shape[:2]) == tuple(size):
        return image
    if image.device.type == "cpu" and exact:
        return _by_pillow(image, size)
    planes = image.permute(2, 0, 1)[None]
    if image.device.type == "cpu":
        resized = F.interpolate(planes, size, mode="bilinear", antialias=True)
    else:  # CUDA has no 8-bit kernel for it; Pillow rounds between the columns and the rows too
        columns = _round(F.interpolate(planes.float(), (image.shape[0], size[1]), mode="bilinear", antialias=True))
        resized = _round(F.interpolate(columns, size, mode="bilinear", antialias=True)).to(torch.uint8)
    return resized[0].permute(1, 2, 0)


def resize_planes(x: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, H, W) floating point, bilinear with half-pixel centres and without antialiasing, as cv2.INTER_LINEAR."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def resize_in_8_bits(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) uint8 to `size` (h, w), by OpenCV as the official readers do; on a GPU to one grey level."""
    if image.shape[:2] == size:
        return image
    if image.device.type == "cpu":
        cv2 = opencv()
        return torch.from_numpy(cv2.resize(image.numpy(), size[::-1], interpolation=cv2.INTER_LINEAR))
    resized = resize_planes(image[None].permute(0, 3, 1, 2).float(), size).round_()
    return resized[0].permute(1, 2, 0).to(torch.uint8)


def normalise(
    crops: Sequence[Tensor],  # N of (h, w, 3) uint8
) -> Tensor:  # (N, 3, h, w) float32, channels_last
    """(x / 255 - MEAN) / STD."""
    batch = torch.stack(list(crops))
    count, height, width, _ = batch.shape
    # Whole rows at once: an innermost dimension of three would be three times as slow.
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=batch.device).mul_(255).repeat(width) for values in (MEAN, STD)
    )
    rows = batch.view(count, height, 3 * width).float().sub_(mean).div_(std)
    return rows.view(count, height, width, 3).permute(0, 3, 1, 2)


def _by_pillow(image: Tensor, size: tuple[int, int]) -> Tensor:
    pil = pillow()
    resized = torch.empty(*size, 3, dtype=torch.uint8, device="cpu")
    resized.numpy()[:] = pil.fromarray(image.numpy()).resize((size[1], size[0]), pil.Resampling.BILINEAR)
    return resized


def _round(levels: Tensor) -> Tensor:
    """Half a level goes up, as in Pillow's fixed-point sums."""
    return levels.add_(0.5).floor_().clamp_(0, 255)

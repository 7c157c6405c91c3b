"""affine_crop: cuts N affinely warped pieces out of one picture, normalises and mirrors them, in one pass.

    (u, v)          = M^-1 (x, y, 1)                         for each pixel (x, y) of a piece
    level[c, y, x]  = round( bilinear(image[:, :, c], u, v) )    0 outside the picture
    out[n, c, y, x] = (level / 255 - mean[c]) / std[c],   out[N + n, c, y, w - 1 - x] the same if flip

The sampling is that of `cv2.warpAffine(image, M, (w, h), flags=cv2.INTER_LINEAR)` of OpenCV 5, whose positions are
exact; older versions round them to 1/32 pixel first, which moves sharp edges by a few grey levels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .library import define


def _invert(matrices: Tensor) -> Tensor:
    """The inverses of affine maps, float64: (N, 2, 3) -> (N, 2, 3), the formula of cv2.invertAffineTransform."""
    a, b, tx, c, d, ty = matrices.double().flatten(1).unbind(1)
    det = a * d - b * c
    a, b, c, d = d / det, -b / det, -c / det, a / det
    return torch.stack((a, b, -(a * tx + b * ty), c, d, -(c * tx + d * ty)), 1).view(-1, 2, 3)


def affine_crop_ref(
    image: Tensor,  # [H, W, 3] uint8
    matrices: Tensor,  # [N, 2, 3] float64, on the CPU
    size: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    flip: bool = False,
) -> Tensor:  # [N, 3, h, w] float32, or [2 N, ...] with flip
    """affine_crop in plain torch, on the picture's device."""
    (height, width), (h, w) = image.shape[:2], size
    inverse = _invert(matrices).float().to(image.device)
    x = torch.arange(w, device=image.device, dtype=torch.float32)
    y = torch.arange(h, device=image.device, dtype=torch.float32)[:, None]
    rows = inverse[..., None, None].unbind(1)  # two of [N, 3, 1, 1]
    u, v = (row[:, 0] * x + row[:, 1] * y + row[:, 2] for row in rows)
    u, v = (at.nan_to_num(-2.0).clamp(-2, side + 1) for at, side in ((u, width), (v, height)))
    left, top = u.floor().long(), v.floor().long()
    du, dv = (u - left)[..., None], (v - top)[..., None]

    def tap(row: Tensor, column: Tensor) -> Tensor:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return image[row.clamp(0, height - 1), column.clamp(0, width - 1)] * inside[..., None].float()

    above = torch.lerp(tap(top, left), tap(top, left + 1), du)
    below = torch.lerp(tap(top + 1, left), tap(top + 1, left + 1), du)
    levels = torch.lerp(above, below, dv).round()
    scale = levels.new_tensor(std), levels.new_tensor(mean)
    crops = ((levels / 255 - scale[1]) / scale[0]).permute(0, 3, 1, 2).contiguous()
    return torch.cat((crops, crops.flip(3))) if flip else crops


def _fake(image: Tensor, matrices: Tensor, size: list[int], mean: list[float], std: list[float], flip: bool) -> Tensor:
    return image.new_empty((matrices.shape[0] * (2 if flip else 1), 3, *size), dtype=torch.float32)


define(
    "affine_crop(Tensor image, Tensor matrices, SymInt[2] size, float[] mean, float[] std, bool flip) -> Tensor",
    reference=affine_crop_ref,
    fake=_fake,
)


def affine_crop(
    image: Tensor,  # [H, W, 3] uint8, any strides
    matrices: Tensor,  # [N, 2, 3] float64, on the CPU
    size: Sequence[int],  # (h, w)
    mean: Sequence[float],
    std: Sequence[float],
    flip: bool = False,
) -> Tensor:  # [N, 3, h, w] float32, on the picture's device; [2 N, 3, h, w] with flip
    """N normalised pieces of one picture, bilinear, black outside its border.

    Equivalent to::

        crop = cv2.warpAffine(image, M, (w, h), flags=cv2.INTER_LINEAR)      # to one grey level
        (torch.from_numpy(crop).permute(2, 0, 1) / 255 - mean) / std

    matrices: take points (x, y, 1) of the picture to points of the piece, in pixels; pixel centres are whole numbers.
        They stay on the CPU, where they are made and checked; the picture may be on any device.
    mean, std: three numbers each, on the scale 0..1.
    flip: gives all pieces, then all their mirror images, left for right.
    Raises ValueError or TypeError with one sentence; a matrix that has no inverse is named by its index.
    """
    if image.dim() != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"affine_crop: the picture has shape {tuple(image.shape)}; (height, width, 3) is needed")
    if image.dtype != torch.uint8:
        raise TypeError(f"affine_crop: the picture is {image.dtype}; uint8 is needed")
    if matrices.dim() != 3 or matrices.shape[1:] != (2, 3):
        raise ValueError(f"affine_crop: the matrices have shape {tuple(matrices.shape)}; (N, 2, 3) is needed")
    if matrices.dtype != torch.float64 or matrices.device.type != "cpu":
        raise TypeError(
            f"affine_crop: the matrices are {matrices.dtype} on {matrices.device}; float64 on the cpu is needed"
        )
    if len(size) != 2 or size[0] < 1 or size[1] < 1:
        raise ValueError(f"affine_crop: size {tuple(size)} is not (height, width) with both at least 1")
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(f"affine_crop: mean {tuple(mean)} and std {tuple(std)} must be three numbers, std above 0")
    invertible = _invert(matrices).isfinite().flatten(1).all(1)
    if not invertible.all():
        index = int(invertible.logical_not().nonzero()[0])
        raise ValueError(f"affine_crop: matrix {index}, {matrices[index].tolist()}, has no inverse")
    return torch.ops.hrnet_fast.affine_crop.default(image, matrices, size, mean, std, flip)

"""Sub-pixel peaks by a second-order Taylor expansion of the logarithm of smoothed heatmaps, batched.

DARK: Zhang et al., Distribution-Aware Coordinate Representation for Human Pose Estimation, section 3.2. UDP's form of
it: Huang et al., The Devil Is in the Details. Both as in mmpose/codecs/utils/refinement.py, whose constants these are.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DARK_FLOOR = 1e-10  # refine_keypoints_dark: what the logarithm is taken of, at least
UDP_RANGE = (1e-3, 50.0)  # refine_keypoints_dark_udp: the same, from and to
UDP_EPS = torch.finfo(torch.float32).eps  # added to the Hessian's diagonal there


def refine(maps: Tensor, points: Tensor, kernel: int, udp: bool = False) -> Tensor:
    """Moves peaks from whole pixels to where the smoothed maps are highest.

    maps: (N, K, h, w), any floating dtype. points: (N, K, 3) x, y, score; x and y whole, as heatmap_decode gives them
        with quarter=False. kernel: size of the Gaussian that smooths, 11 for heatmaps of sigma 2, 17 for sigma 3.
    udp: UDP's one-pixel differences, at the border too; else DARK's two-pixel ones, at least two pixels from it.
    Returns (N, K, 3) of the points' dtype. Points with a score of 0 or less stay, as do those whose step is not finite.
    """
    patch, inside = _patches(smoothed(maps, kernel), points)
    low, high = UDP_RANGE if udp else (DARK_FLOOR, None)
    step, curved = (_udp_step if udp else _dark_step)(patch.clamp(low, high).log())
    moves = (points[..., 2] > 0) & curved & step.isfinite().all(-1)
    if not udp:
        moves &= inside
    moved = torch.where(moves[..., None], points[..., :2] + step.to(points.dtype), points[..., :2])
    return torch.cat((moved, points[..., 2:]), -1)


def smoothed(maps: Tensor, kernel: int) -> Tensor:  # (N, K, h, w) float64
    """Maps blurred by a Gaussian, zero outside, and scaled to the maximum that they had before.

    gaussian_blur of mmpose/codecs/utils/post_processing.py; float64, since the logarithm's curvature magnifies errors.
    """
    maps = maps.double()
    blurred = _blur_matrix(maps.shape[2], kernel, maps) @ maps @ _blur_matrix(maps.shape[3], kernel, maps)
    return blurred * (maps.amax((2, 3), keepdim=True) / blurred.amax((2, 3), keepdim=True))


def _blur_matrix(side: int, kernel: int, like: Tensor) -> Tensor:
    """(side, side): multiplying by it blurs along one axis."""
    if kernel < 9 or kernel % 2 == 0:
        raise ValueError(f"the blur kernel is {kernel}; an odd number from 9 is needed (11 for sigma 2, 17 for 3)")
    # cv2.getGaussianKernel(kernel, 0) for kernels above 7
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    distances = torch.arange(side, dtype=torch.float64)[:, None] - torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-distances.square() / (2 * sigma * sigma)) * (distances.abs() <= kernel // 2)
    total = sum(math.exp(-(i**2) / (2 * sigma * sigma)) for i in range(-(kernel // 2), kernel // 2 + 1))
    return (weights / total).to(like.device)


def _patches(maps: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """The 5 x 5 pixels around each point, (N, K, 5, 5), borders repeated; and whether all of them are in the map."""
    n, k, h, w = maps.shape
    x, y = points[..., 0].long(), points[..., 1].long()
    steps = torch.arange(5, device=maps.device)
    padded = F.pad(maps, (2, 2, 2, 2), mode="replicate").flatten(2)
    index = (y[..., None, None] + steps[:, None]) * (w + 4) + x[..., None, None] + steps
    inside = (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2)
    return padded.gather(2, index.flatten(2)).view(n, k, 5, 5), inside


def _dark_step(p: Tensor) -> tuple[Tensor, Tensor]:
    """Where the parabola through log values p (..., 5, 5) is highest, from its middle; and if it is one."""
    dx = 0.5 * (p[..., 2, 3] - p[..., 2, 1])
    dy = 0.5 * (p[..., 3, 2] - p[..., 1, 2])
    dxx = 0.25 * (p[..., 2, 4] - 2 * p[..., 2, 2] + p[..., 2, 0])
    dyy = 0.25 * (p[..., 4, 2] - 2 * p[..., 2, 2] + p[..., 0, 2])
    dxy = 0.25 * (p[..., 3, 3] - p[..., 1, 3] - p[..., 3, 1] + p[..., 1, 1])
    return _newton(dx, dy, dxx, dxy, dyy)


def _udp_step(p: Tensor) -> tuple[Tensor, Tensor]:
    middle = p[..., 2, 2]
    dx = 0.5 * (p[..., 2, 3] - p[..., 2, 1])
    dy = 0.5 * (p[..., 3, 2] - p[..., 1, 2])
    dxx = p[..., 2, 3] - 2 * middle + p[..., 2, 1] + UDP_EPS
    dyy = p[..., 3, 2] - 2 * middle + p[..., 1, 2] + UDP_EPS
    sides = p[..., 2, 3] + p[..., 3, 2] + p[..., 2, 1] + p[..., 1, 2]
    dxy = 0.5 * (p[..., 3, 3] + p[..., 1, 1] + 2 * middle - sides)
    return _newton(dx, dy, dxx, dxy, dyy)


def _newton(dx: Tensor, dy: Tensor, dxx: Tensor, dxy: Tensor, dyy: Tensor) -> tuple[Tensor, Tensor]:
    det = dxx * dyy - dxy * dxy
    step = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), -1) / det[..., None]
    return step, det != 0

"""Sub-pixel peaks by a second-order Taylor expansion of the logarithm of smoothed heatmaps, batched.

DARK: Zhang et al., Distribution-Aware Coordinate Representation for Human Pose Estimation, section 3.2. UDP's form of
it: Huang et al., The Devil Is in the Details. Both as in mmpose/codecs/utils/refinement.py, whose constants these are.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
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
    check_kernel(kernel)
    h, w = maps.shape[2:]
    x, y = points[..., 0].long(), points[..., 1].long()
    low, high = UDP_RANGE if udp else (DARK_FLOOR, None)
    step = (_udp_step if udp else _dark_step)(smoothed(maps, points, kernel).clamp(low, high).log())
    moves = step.isfinite().all(-1)  # where a map is flat, or has no number above 0, it is not, or is 0
    if not udp:
        moves &= (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2)
    moved = torch.where(moves[..., None], points[..., :2] + step.to(points.dtype), points[..., :2])
    return torch.cat((moved, points[..., 2:]), -1)


def check_kernel(kernel: int) -> None:
    """ValueError for a size that OpenCV has no formula for."""
    if kernel < 11 or kernel % 2 == 0:
        raise ValueError(f"the blur kernel is {kernel}; an odd number from 11 is needed (11 for sigma 2, 17 for 3)")


def smoothed(maps: Tensor, points: Tensor, kernel: int) -> Tensor:  # (N, K, 5, 5) float64
    """The pixels around each point of maps that are blurred by a Gaussian and scaled to the maximum they had before.

    gaussian_blur of mmpose/codecs/utils/post_processing.py: zero outside the map; beyond its border the pixels on the
    border are repeated. Float64, since the logarithm's curvature magnifies errors; the maximum, which only scales, is
    found in the maps' own dtype, float32 at least.
    """
    h, w = maps.shape[2:]
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    blurred = _gaussian(h, h, kernel, maps.dtype, maps.device) @ maps @ _gaussian(w, w, kernel, maps.dtype, maps.device)
    scale = points[..., 2].double() / blurred.amax((2, 3)).double()
    x, y = points[..., 0].long(), points[..., 1].long()
    reach = kernel // 2 + 2
    window = _window(maps, x, y, reach).double()
    taps = _gaussian(5, 2 * reach + 1, kernel, window.dtype, window.device)
    patch = taps @ window @ taps.mT * scale[..., None, None]
    rows, columns = (_near(place, 2, side) - place[..., None] + 2 for place, side in ((y, h), (x, w)))
    patch = patch.gather(2, rows[..., None].expand_as(patch))
    return patch.gather(3, columns[..., None, :].expand_as(patch))


@lru_cache(maxsize=64)  # kept on its device, as an upload for each batch would wait for the GPU
@torch.inference_mode(False)
def _gaussian(rows: int, columns: int, kernel: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(rows, columns): multiplying by it from the left blurs a column; the middle row belongs to the middle column."""
    # cv2.getGaussianKernel(kernel, 0) for kernels above 9, up to which OpenCV has tables
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    heights = [math.exp(-((i - kernel // 2) ** 2) / (2 * sigma * sigma)) for i in range(kernel)]
    weights = torch.tensor(heights, dtype=torch.float64, device="cpu") / sum(heights)
    tap = (
        torch.arange(columns, device="cpu")
        - torch.arange(rows, device="cpu")[:, None]
        - (columns - rows) // 2
        + kernel // 2
    )
    taps = torch.where((tap >= 0) & (tap < kernel), weights[tap.clamp(0, kernel - 1)], 0.0)
    return taps.to(device, dtype)


def _near(place: Tensor, reach: int, side: int) -> Tensor:
    """(N, K) -> (N, K, 2 reach + 1): the coordinates around, those beyond the border moved onto it."""
    steps = torch.arange(-reach, reach + 1, device=place.device)
    return (place[..., None] + steps).clamp(0, side - 1)


def _window(maps: Tensor, x: Tensor, y: Tensor, reach: int) -> Tensor:
    """The pixels around each point, (N, K, 2 reach + 1, 2 reach + 1), zero outside the map."""
    n, k, h, w = maps.shape
    rows, columns = _near(y, reach, h), _near(x, reach, w)
    index = rows[..., :, None] * w + columns[..., None, :]
    window = maps.flatten(2).gather(2, index.flatten(2)).view(n, k, *index.shape[2:])
    steps = torch.arange(-reach, reach + 1, device=maps.device)
    inside = (rows == y[..., None] + steps)[..., :, None] & (columns == x[..., None] + steps)[..., None, :]
    return window.masked_fill(~inside, 0)


def _dark_step(p: Tensor) -> Tensor:  # (..., 2)
    """Where the parabola through log values p (..., 5, 5) is highest, from its middle; not finite if it is none."""
    dx = 0.5 * (p[..., 2, 3] - p[..., 2, 1])
    dy = 0.5 * (p[..., 3, 2] - p[..., 1, 2])
    dxx = 0.25 * (p[..., 2, 4] - 2 * p[..., 2, 2] + p[..., 2, 0])
    dyy = 0.25 * (p[..., 4, 2] - 2 * p[..., 2, 2] + p[..., 0, 2])
    dxy = 0.25 * (p[..., 3, 3] - p[..., 1, 3] - p[..., 3, 1] + p[..., 1, 1])
    return _newton(dx, dy, dxx, dxy, dyy)


def _udp_step(p: Tensor) -> Tensor:  # (..., 2)
    middle = p[..., 2, 2]
    dx = 0.5 * (p[..., 2, 3] - p[..., 2, 1])
    dy = 0.5 * (p[..., 3, 2] - p[..., 1, 2])
    dxx = p[..., 2, 3] - 2 * middle + p[..., 2, 1] + UDP_EPS
    dyy = p[..., 3, 2] - 2 * middle + p[..., 1, 2] + UDP_EPS
    sides = p[..., 2, 3] + p[..., 3, 2] + p[..., 2, 1] + p[..., 1, 2]
    dxy = 0.5 * (p[..., 3, 3] + p[..., 1, 1] + 2 * middle - sides)
    return _newton(dx, dy, dxx, dxy, dyy)


def _newton(dx: Tensor, dy: Tensor, dxx: Tensor, dxy: Tensor, dyy: Tensor) -> Tensor:  # (..., 2)
    det = dxx * dyy - dxy * dxy
    return torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), -1) / det[..., None]

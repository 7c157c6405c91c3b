"""From heatmaps to points in the picture.

Source: decode_preds and get_preds in lib/core/evaluation.py of HRNet-Facial-Landmark-Detection.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...kernels import flip_average, heatmap_decode
from .boxes import Square
from .protocol import Protocol


def decode(
    heatmaps: Tensor,  # (N, L, h, w), on any device
    squares: Sequence[Square],  # N: what was cut out
    protocol: Protocol,
    flipped: Tensor | None = None,  # (N, L, h, w), of the mirrored crops, as the network gave them
    swap: Sequence[int] | None = None,  # point k of a crop is point swap[k] of its mirror image
) -> tuple[Tensor, Tensor]:  # (N, L, 2) float64 x, y in pixels of the picture; (N, L) float32; both on the CPU
    """The highest pixel of each heatmap, a quarter of a pixel towards its higher neighbours, as a point of the picture.

    Only the points leave the heatmaps' device. A heatmap without a value above 0 gives the pixel (-1, -1), as official.
    """
    if flipped is not None:
        heatmaps = flip_average(heatmaps, flipped, swap, protocol.flip_shift)
    found = heatmap_decode(heatmaps, quarter=False)
    points, scores = found[..., :2] + 0.25 * _quarter(heatmaps, found, protocol), found[..., 2]
    points = points.masked_fill(~(scores[..., None] > 0), -1.0)
    return to_picture(points.cpu(), squares, heatmaps.shape[3], protocol.offset), scores.float().cpu()


def to_picture(
    points: Tensor,  # (N, L, 2) x, y in pixels of the heatmap
    squares: Sequence[Square],  # N
    size: int,  # the heatmap's side
    offset: float,
) -> Tensor:  # (N, L, 2) float64, in pixels of the picture
    """transform_preds, without its cut to whole pixels (see `whole_pixels` in metrics)."""
    region = torch.tensor(squares, dtype=torch.float64, device="cpu").view(-1, 1, 3)
    side = region[..., 2:]
    return (points.double() + offset) * (side / size) + region[..., :2] - side / 2


def _quarter(heatmaps: Tensor, found: Tensor, protocol: Protocol) -> Tensor:
    """Signs (N, L, 2) of the slope at each highest pixel; 0 for pixels at the heatmap's border."""
    height, width = heatmaps.shape[2:]
    x, y = found[..., 0].long(), found[..., 1].long()
    inside_x = (x > protocol.border) & (x < width - 1)
    inside_y = (y > protocol.border) & (y < height - 1)
    if protocol.per_axis:
        inside = torch.stack((inside_x & (y > 0), inside_y & (x > 0)), 2)
    else:
        inside = (inside_x & inside_y)[..., None]
    at, maps = y * width + x, heatmaps.flatten(2)

    def value(step: int) -> Tensor:
        return maps.gather(2, (at + step).clamp(0, height * width - 1)[..., None])

    slope = torch.cat((value(1) - value(-1), value(width) - value(-width)), 2)
    return slope.sign() * inside

"""Maps between a picture, the crops of its people and their heatmaps, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .boxes import Regions


def crop_matrices(regions: Regions, size: Sequence[int], udp: bool = False) -> Tensor:  # (N, 2, 3) float64
    """The affine maps from the picture to crops of size (height, width), in pixels.

    Without `udp`: get_affine_transform of lib/utils/transforms.py at rotation 0: the middle of the region comes to
    (width / 2, height / 2), and one scale, that of the widths, serves both axes.
    With `udp`: get_udp_warp_matrix of mmpose/structures/bbox/transforms.py: the region's borders come to the centres of
    the crop's border pixels (Huang et al., The Devil Is in the Details, section 3).
    """
    height, width = size
    if udp:
        scales = torch.tensor((width - 1, height - 1), dtype=torch.float64, device="cpu") / regions.sizes
        offsets = (regions.sizes * 0.5 - regions.centers) * scales
    else:
        scales = (width / regions.sizes[:, :1]).expand(-1, 2)
        offsets = (
            torch.tensor((width * 0.5, height * 0.5), dtype=torch.float64, device="cpu") - regions.centers * scales
        )
    return torch.cat((torch.diag_embed(scales), offsets[..., None]), 2)


def to_picture(points: Tensor, regions: Regions, size: Sequence[int], udp: bool = False) -> Tensor:
    """Points (N, K, 2) of heatmaps of size (height, width), in the pixels of the picture; same dtype and device.

    Without `udp`: transform_preds of lib/utils/transforms.py. With it: decode of mmpose/codecs/udp_heatmap.py and
    mmpose/models/pose_estimators/topdown.py.
    """
    height, width = size
    centers, sizes = regions.centers, regions.sizes
    if udp:
        scales = sizes / torch.tensor((width - 1, height - 1), dtype=torch.float64, device="cpu")
        offsets = centers - sizes * 0.5
    else:
        scales = (sizes[:, :1] / width).expand(-1, 2)
        offsets = centers - scales * torch.tensor((width * 0.5, height * 0.5), dtype=torch.float64, device="cpu")
    scales, offsets = (x[:, None].to(points.device) for x in (scales, offsets))
    return (points.double() * scales + offsets).to(points.dtype)

"""Conventions that a network was trained with: how faces are cut out, and where a heatmap's pixel lies."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Protocol:
    """name: what it is called. crop: "official" (Pillow's resize of a whole-pixel region) or "affine" (cv2.warpAffine).

    shift: what the affine crop moves a face right and down by, in pixels of the crop.
    offset: what is added to a decoded point, in pixels of the heatmap.
    flip_shift: whether the heatmaps of the mirrored crop move a pixel to the right before they are averaged.
    border: a point in the first border + 1 or in the last row or column of the heatmap gets no quarter offset: on
        either axis, or `per_axis`, only on the axis that it is at the border of.
    """

    name: str
    crop: str
    shift: float
    offset: float
    flip_shift: bool
    border: int
    per_axis: bool

    def __str__(self) -> str:
        return self.name


PROTOCOLS = MappingProxyType({
    protocol.name: protocol
    for protocol in (
        # lib/utils/transforms.py (crop) and lib/core/evaluation.py (decode_preds) of HRNet-Facial-Landmark-Detection.
        Protocol("official", "official", 0.0, 0.5, False, 0, False),
        # crop_v2() of that file, all faces by one op, moved to where crop() puts them on average.
        Protocol("affine", "affine", 0.5, 0.5, False, 0, False),
        # mmpose: TopdownAffine, the codec MSRAHeatmap with refine_keypoints, and the flip test with shift_heatmap.
        Protocol("mmpose", "affine", 0.0, 0.0, True, 1, True),
    )
})  # fmt: skip


def protocol_of(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise ValueError(f"protocol={name!r} is not known; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]

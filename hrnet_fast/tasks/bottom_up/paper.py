"""The scores that the official repository prints."""

from __future__ import annotations

from collections.abc import Sequence

_METRICS = ("AP", "AP50", "AP75", "APM", "APL")
_MULTI = (2.0, 1.0, 0.5)
# README of github.com/HRNet/HigherHRNet-Human-Pose-Estimation, "Results on COCO val2017 without multi-scale test" and
# "... with multi-scale test", both with flip test
_ROWS = {
    ("hrnet_w32.pose_higher_coco_512x512", (1.0,)): (67.1, 86.2, 73.0, 61.5, 76.1),
    ("hrnet_w32.pose_higher_coco_640x640", (1.0,)): (68.5, 87.1, 74.7, 64.3, 75.3),
    ("hrnet_w48.pose_higher_coco_640x640", (1.0,)): (69.9, 87.2, 76.1, 65.4, 76.4),
    ("hrnet_w32.pose_higher_coco_512x512", _MULTI): (69.9, 87.1, 76.0, 65.3, 77.0),
    ("hrnet_w32.pose_higher_coco_640x640", _MULTI): (70.6, 88.1, 76.9, 66.6, 76.5),
    ("hrnet_w48.pose_higher_coco_640x640", _MULTI): (72.1, 88.4, 78.2, 67.8, 78.3),
}


def paper_row(model: str, dataset: str, split: str, scales: Sequence[float] = (1.0,)) -> dict[str, float] | None:
    """metric -> per cent; None if no row is printed for this model at these scales on this data."""
    row = _ROWS.get((model, tuple(sorted(map(float, scales), reverse=True))))
    return dict(zip(_METRICS, row)) if row and (dataset, split) == ("COCO", "val2017") else None

"""The scores that the official repository and mmpose print."""

from __future__ import annotations

from collections.abc import Sequence

from ..pose.paper import CROWDPOSE_METRICS

Rows = dict[tuple[str, tuple[float, ...]], tuple[float, ...]]  # (model, scales) -> the metrics' values

_COCO = ("AP", "AP50", "AP75", "APM", "APL")
_SINGLE, _DOUBLE, _MULTI = (1.0,), (2.0, 1.0), (2.0, 1.0, 0.5)
# README of github.com/HRNet/HigherHRNet-Human-Pose-Estimation, "Results on COCO val2017 without multi-scale test" and
# "... with multi-scale test", both with flip test
_COCO_ROWS: Rows = {
    ("hrnet_w32.pose_higher_coco_512x512", _SINGLE): (67.1, 86.2, 73.0, 61.5, 76.1),
    ("hrnet_w32.pose_higher_coco_640x640", _SINGLE): (68.5, 87.1, 74.7, 64.3, 75.3),
    ("hrnet_w48.pose_higher_coco_640x640", _SINGLE): (69.9, 87.2, 76.1, 65.4, 76.4),
    ("hrnet_w32.pose_higher_coco_512x512", _MULTI): (69.9, 87.1, 76.0, 65.3, 77.0),
    ("hrnet_w32.pose_higher_coco_640x640", _MULTI): (70.6, 88.1, 76.9, 66.6, 76.5),
    ("hrnet_w48.pose_higher_coco_640x640", _MULTI): (72.1, 88.4, 78.2, 67.8, 78.3),
}
# W48: the same README, "Results on CrowdPose test", whose network Papers with Code names. W32: mmpose's model zoo
# (0.x), higherhrnet_crowdpose.md, whose checkpoint has been tested at scales of 2 and 1. All with flip test
_CROWDPOSE_ROWS: Rows = {
    ("hrnet_w48.pose_higher_crowdpose_640x640", _SINGLE): (65.9, 86.4, 70.6, 73.3, 66.5, 57.9),
    ("hrnet_w48.pose_higher_crowdpose_640x640", _MULTI): (67.6, 87.4, 72.6, 75.8, 68.1, 58.9),
    ("hrnet_w32.pose_higher_crowdpose_512x512", _SINGLE): (65.5, 85.9, 70.5, 72.8, 66.0, 57.7),
    ("hrnet_w32.pose_higher_crowdpose_512x512", _DOUBLE): (66.1, 86.4, 71.0, 74.2, 67.0, 56.6),
}
_TABLES: dict[tuple[str, str], tuple[tuple[str, ...], Rows]] = {
    ("COCO", "val2017"): (_COCO, _COCO_ROWS),
    ("CrowdPose", "test"): (CROWDPOSE_METRICS, _CROWDPOSE_ROWS),
}


def paper_row(model: str, dataset: str, split: str, scales: Sequence[float] = _SINGLE) -> dict[str, float] | None:
    """metric -> per cent; None if no row is printed for this model at these scales on this data."""
    names, rows = _TABLES.get((dataset, split), ((), {}))
    row = rows.get((model, tuple(sorted(map(float, scales), reverse=True))))
    return dict(zip(names, row)) if row else None

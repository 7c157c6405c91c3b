"""The scores that the papers, the official repository and mmpose print."""

from __future__ import annotations

Rows = dict[tuple[str, str], tuple[float, ...]]  # (model, split) -> the metrics' values

# Deep High-Resolution Representation Learning for Visual Recognition, table 1: COCO val2017, flip test, boxes of a
# detector with a person AP of 56.4
_COCO = ("AP", "AP50", "AP75", "APM", "APL", "AR")
_COCO_ROWS: Rows = {
    ("hrnet_w32.pose_coco_256x192", "val2017"): (74.4, 90.5, 81.9, 70.8, 81.0, 79.8),
    ("hrnet_w48.pose_coco_256x192", "val2017"): (75.1, 90.6, 82.2, 71.5, 81.8, 80.4),
    ("hrnet_w32.pose_coco_384x288", "val2017"): (75.8, 90.6, 82.7, 71.9, 82.8, 81.0),
    ("hrnet_w48.pose_coco_384x288", "val2017"): (76.3, 90.8, 82.9, 72.3, 83.4, 81.2),
}
# README of github.com/leoxiaobin/deep-high-resolution-net.pytorch, "Results on MPII val": flip test
_MPII = ("Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean", "Mean@0.1")
_MPII_ROWS: Rows = {("hrnet_w32.pose_mpii_256x256", "valid"): (97.1, 95.9, 90.3, 86.4, 89.1, 87.1, 83.3, 90.3, 37.7)}
# mmpose's model zoo, configs/body_2d_keypoint/topdown_heatmap/crowdpose/hrnet_crowdpose.md: CrowdPose test, flip test,
# boxes of YOLOv3
CROWDPOSE_METRICS = ("AP", "AP50", "AP75", "AP easy", "AP medium", "AP hard")
_CROWDPOSE_ROWS: Rows = {("hrnet_w32.pose_crowdpose_256x192", "test"): (67.5, 82.5, 72.9, 77.0, 68.7, 55.3)}
_TABLES: dict[str, tuple[tuple[str, ...], Rows]] = {
    "COCO": (_COCO, _COCO_ROWS),
    "MPII": (_MPII, _MPII_ROWS),
    "CrowdPose": (CROWDPOSE_METRICS, _CROWDPOSE_ROWS),
}


def paper_row(model: str, dataset: str, split: str) -> dict[str, float] | None:
    """metric -> per cent; None if no row is printed for this model on this data."""
    names, rows = _TABLES.get(dataset, ((), {}))
    row = rows.get((model, split))
    return dict(zip(names, row)) if row else None

"""The scores that mmdetection's model zoo prints, for the checkpoints that it gives."""

from __future__ import annotations

# configs/hrnet/README.md of github.com/open-mmlab/mmdetection: Faster R-CNN, schedule 2x, COCO val2017
_ROWS = {
    ("hrnet_w18.faster_rcnn_coco", "val2017"): 38.9,
    ("hrnet_w32.faster_rcnn_coco", "val2017"): 41.4,
    ("hrnet_w40.faster_rcnn_coco", "val2017"): 42.1,
}


def paper_row(model: str, split: str) -> dict[str, float] | None:
    """metric -> per cent; None if no row is printed for this model on this data."""
    score = _ROWS.get((model, split))
    return None if score is None else {"AP": score}

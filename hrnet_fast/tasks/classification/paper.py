"""What the paper and the official repository print about ImageNet's validation set."""

from __future__ import annotations

from types import MappingProxyType

PAPER = "Deep High-Resolution Representation Learning for Visual Recognition"
README = "README.md of HRNet-Image-Classification"

# Model -> (top-1 error, top-5 error, source), in per cent, one 224x224 centre crop; of public checkpoints their row.
_ERRORS = MappingProxyType({
    "hrnet_w18_small.cls_in1k": (27.7, 9.3, README),
    "hrnet_w18_small_v2.cls_in1k": (24.9, 7.6, README),
    "hrnet_w18.cls_in1k": (23.2, 6.6, README),
    "hrnet_w30.cls_in1k": (21.8, 5.8, README),
    "hrnet_w32.cls_in1k": (21.5, 5.8, README),
    "hrnet_w40.cls_in1k": (21.1, 5.5, README),
    "hrnet_w44.cls_in1k": (21.1, 5.6, README),
    "hrnet_w48.cls_in1k": (20.7, 5.5, README),
    "hrnet_w64.cls_in1k": (20.5, 5.4, README),
    "hrnet_w44.cls_bottleneck_in1k": (23.0, 6.5, f"{PAPER}, table 20"),
    "hrnet_w76.cls_bottleneck_in1k": (21.5, 5.8, f"{PAPER}, table 20"),
    "hrnet_w96.cls_bottleneck_in1k": (21.0, 5.7, f"{PAPER}, table 20"),
    "hrnet_w27.cls_ci_in1k": (26.0, 7.7, f"{PAPER}, table 21"),
    "hrnet_w36.cls_ci_in1k": (24.3, 7.3, f"{PAPER}, table 21"),
    "hrnet_w45.cls_ci_in1k": (23.6, 7.0, f"{PAPER}, table 21"),
    "hrnet_w25.cls_cii_in1k": (24.1, 7.1, f"{PAPER}, table 21"),
    "hrnet_w34.cls_cii_in1k": (22.8, 6.3, f"{PAPER}, table 21"),
    "hrnet_w43.cls_cii_in1k": (22.2, 6.1, f"{PAPER}, table 21"),
})  # fmt: skip


def paper_row(model: str, split: str, classes: int) -> tuple[dict[str, float], str] | None:
    """({"top-1", "top-5"} in per cent: 100 minus the printed errors, source); None for a model that has no row, and for
    other pictures than a validation set of a thousand classes."""
    if model not in _ERRORS or (split, classes) != ("val", 1000):
        return None
    top1, top5, source = _ERRORS[model]
    return {"top-1": round(100 - top1, 2), "top-5": round(100 - top5, 2)}, source

"""What the paper prints about facial landmarks with HRNetV2-W18."""

from __future__ import annotations

from types import MappingProxyType

SOURCE = "Deep High-Resolution Representation Learning for Visual Recognition, appendix B"

# Data set and split -> metric in per cent. The official README prints slightly other figures for the subsets.
ROWS = MappingProxyType({
    ("WFLW", "test"): {
        "NME": 4.60, "NME pose": 7.94, "NME expression": 4.85, "NME illumination": 4.55, "NME make-up": 4.29,
        "NME occlusion": 5.44, "NME blur": 5.42,
    },
    ("AFLW", "test"): {"NME": 1.57, "NME frontal": 1.46},
    ("AFLW", "frontal"): {"NME": 1.46},
    ("COFW", "test"): {"NME": 3.45, "FR0.1": 0.19},
    ("300W", "full"): {"NME": 3.32, "NME common": 2.87, "NME challenging": 5.15},
    ("300W", "common"): {"NME": 2.87},
    ("300W", "challenging"): {"NME": 5.15},
    ("300W", "test"): {"NME": 3.85, "FR0.08": 1.00, "FR0.1": 0.33, "AUC0.08": 52.09, "AUC0.1": 61.55},
})  # fmt: skip


def paper_row(model: str, dataset: str, split: str) -> dict[str, float] | None:
    """The row of a data set's split, if it is about this model: W18, trained on that data set."""
    return ROWS.get((dataset, split)) if model == f"hrnet_w18.landmark_{dataset.lower()}" else None

"""What the papers print about segmentation, with the test that gave it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

PAPER = "Deep High-Resolution Representation Learning for Visual Recognition"
README = "README.md of HRNet-Semantic-Segmentation"
SIX_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # the README reproduces PASCAL-Context with a seventh, 2.0


@dataclass(frozen=True)
class PaperRow:
    """metrics: in per cent, on the validation set. scales, flip: the views of its test. source: where it is printed."""

    metrics: dict[str, float]
    scales: tuple[float, ...]
    flip: bool
    source: str


def _row(source: str, scales: tuple[float, ...] = (1.0,), flip: bool = False, **metrics: float) -> PaperRow:
    names = {"miou": "mIoU", "pixel": "pixel acc", "mean": "mean acc"}
    return PaperRow({names[key]: value for key, value in metrics.items()}, scales, flip, source)


_ROWS = MappingProxyType({
    "hrnet_w40.seg_cityscapes": _row(f"{PAPER}, table 3", miou=80.2),
    "hrnet_w48.seg_cityscapes": _row(f"{PAPER}, table 3", miou=81.1),
    "hrnet_w48.seg_ocr_cityscapes": _row(f"{PAPER}, table 3; {README}", miou=81.6),
    "hrnet_w48.seg_pascal_context59": _row(f"{PAPER}, table 5", SIX_SCALES, True, miou=54.0),
    "hrnet_w48.seg_pascal_context60": _row(f"{PAPER}, table 5", SIX_SCALES, True, miou=48.3),
    "hrnet_w48.seg_ocr_pascal_context59": _row(f"{PAPER}, table 5", SIX_SCALES, True, miou=56.2),
    "hrnet_w48.seg_ocr_pascal_context60": _row(f"{PAPER}, table 5", SIX_SCALES, True, miou=50.1),
    "hrnet_w48.seg_lip": _row(f"{PAPER}, table 6", flip=True, pixel=88.21, mean=67.43, miou=55.90),
    "hrnet_w48.seg_ocr_lip": _row(f"{PAPER}, table 6", flip=True, pixel=88.24, mean=67.84, miou=56.48),
})  # fmt: skip


def paper_row(model: str, split: str) -> PaperRow | None:
    """The row of a model on a split, or None if the papers have none."""
    return _ROWS.get(model) if split == "val" else None

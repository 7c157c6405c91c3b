"""What the papers print about the models, to stand beside what is counted here."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from .config import HRNetConfig
from .registry import model_config


@dataclass(frozen=True)
class Figures:
    """Printed figures, digit for digit.

    parameters: in millions. multiply_adds: the column "GFLOPs", for one image of input_size (height, width). The pose
        and classification tables are reproduced by a G of 2^30, not of 10^9.
    source: where it is printed. whole: the detector that the figures include, if it is more than the model here.
    """

    parameters: str
    multiply_adds: str
    input_size: tuple[int, int]
    source: str
    whole: str = ""


def _table(source: str, size: tuple[int, int], rows: dict[str, tuple[str, str]], whole: str = "") -> dict[str, Figures]:
    return {name: Figures(*printed, size, source, whole) for name, printed in rows.items()}


# "The paper" is "Deep High-Resolution Representation Learning for Visual Recognition", "the report" is
# "High-Resolution Representations for Labeling Pixels and Regions", a README that of the official repository.
FIGURES = MappingProxyType({
    **_table("the paper's table 1", (256, 192), {
        "hrnet_w32.pose_coco_256x192": ("28.5", "7.10"),
        "hrnet_w48.pose_coco_256x192": ("63.6", "14.6"),
    }),
    **_table("the paper's table 1", (384, 288), {
        "hrnet_w32.pose_coco_384x288": ("28.5", "16.0"),
        "hrnet_w48.pose_coco_384x288": ("63.6", "32.9"),
    }),
    **_table("the paper's table 3", (1024, 2048), {
        "hrnet_w40.seg_cityscapes": ("45.2", "493.2"),
        "hrnet_w48.seg_cityscapes": ("65.9", "696.2"),
        "hrnet_w48.seg_ocr_cityscapes": ("70.3", "1206.3"),
    }),
    **_table("the paper's appendix B", (256, 256), {
        f"hrnet_w18.landmark_{dataset}": ("9.3", "4.3") for dataset in ("wflw", "300w", "cofw", "aflw")
    }),
    **_table("the paper's detection tables", (800, 1200), {
        "hrnet_w18.faster_rcnn_coco": ("26.2", "159.1"),
        "hrnet_w32.faster_rcnn_coco": ("45.0", "245.3"),
        "hrnet_w48.faster_rcnn_coco": ("79.4", "399.1"),
    }, whole="Faster R-CNN"),
    **_table("the report", (800, 1200), {"hrnet_w40.faster_rcnn_coco": ("60.5", "314.9")}, whole="Faster R-CNN"),
    **_table("the paper's table 20", (224, 224), {
        "hrnet_w18.cls_in1k": ("21.3", "3.99"),
        "hrnet_w30.cls_in1k": ("37.7", "7.55"),
        "hrnet_w40.cls_in1k": ("57.6", "11.8"),
        "hrnet_w44.cls_bottleneck_in1k": ("21.9", "3.90"),
        "hrnet_w76.cls_bottleneck_in1k": ("40.8", "7.30"),
        "hrnet_w96.cls_bottleneck_in1k": ("57.5", "10.2"),
    }),
    **_table("the paper's table 21", (224, 224), {
        "hrnet_w27.cls_ci_in1k": ("21.4", "5.55"),
        "hrnet_w36.cls_ci_in1k": ("37.5", "9.00"),
        "hrnet_w45.cls_ci_in1k": ("58.2", "13.4"),
        "hrnet_w25.cls_cii_in1k": ("21.7", "5.04"),
        "hrnet_w34.cls_cii_in1k": ("36.7", "8.29"),
        "hrnet_w43.cls_cii_in1k": ("56.3", "12.5"),
    }),
    **_table("README.md of HRNet-Image-Classification", (224, 224), {
        "hrnet_w18_small.cls_in1k": ("13.2", "1.49"),
        "hrnet_w18_small_v2.cls_in1k": ("15.6", "2.42"),
        "hrnet_w32.cls_in1k": ("41.2", "8.31"),
        "hrnet_w44.cls_in1k": ("67.1", "13.9"),
        "hrnet_w48.cls_in1k": ("77.5", "16.1"),
        "hrnet_w64.cls_in1k": ("128.1", "26.9"),
    }),
})  # fmt: skip


def figures(config: HRNetConfig) -> Figures | None:
    """What is printed about the model of this config; None if nothing is, or if an option was changed."""
    printed = FIGURES.get(config.name)
    return printed if printed and config == model_config(config.name) else None

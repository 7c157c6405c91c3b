"""Faster R-CNN on HRNetV2p (paper section 6), with mmdetection's keys behind the official ones of the pyramid."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import HRNetConfig
from .heads import HRFPN, DetectionHRNet

ROI_LEVELS = 4  # of the pyramid, the finest ones, which regions are cut out of
RATIOS = 3  # anchors of a place differ by their height : width
ROI_SIZE = 7  # height and width of a region's features


class RPNHead(nn.Module):
    """Where there is something: a map (N, C, h, w) -> logits (N, A, h, w) and box deltas (N, 4A, h, w) of its A anchors
    a place (`det:mmdet/models/dense_heads/rpn_head.py`)."""

    def __init__(self, channels: int, anchors: int = RATIOS):
        super().__init__()
        self.rpn_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.rpn_cls = nn.Conv2d(channels, anchors, 1)
        self.rpn_reg = nn.Conv2d(channels, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.rpn_conv(x))
        return self.rpn_cls(x), self.rpn_reg(x)


class BBoxHead(nn.Module):
    """What a region is: features (R, C, 7, 7) -> logits (R, classes + 1), the background last, and a box's deltas for
    each class (R, 4 classes) (`det:mmdet/models/roi_heads/bbox_heads/convfc_bbox_head.py`, Shared2FCBBoxHead)."""

    def __init__(self, channels: int, classes: int, hidden: int = 1024):
        super().__init__()
        self.shared_fcs = nn.ModuleList([nn.Linear(channels * ROI_SIZE**2, hidden), nn.Linear(hidden, hidden)])
        self.fc_cls = nn.Linear(hidden, classes + 1)
        self.fc_reg = nn.Linear(hidden, 4 * classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.flatten(1)
        for layer in self.shared_fcs:
            x = F.relu(layer(x))
        return self.fc_cls(x), self.fc_reg(x)


class FasterRCNNHRNet(DetectionHRNet):
    """The network of Faster R-CNN up to its regions: 14 maps, the pyramid's finest four (N, 256, H / 2^l, W / 2^l),
    l = 2 to 5, then the logits (N, 3, ...) and the box deltas (N, 12, ...) of all five levels' anchors.

    Which regions they propose, and what `roi_head.bbox_head` says of each, is `hrnet_fast.tasks.detection`'s, since it
    depends on the numbers.
    """

    roi_head: Any  # a ModuleDict of the one BBoxHead, as mmdetection's keys have it

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        channels = HRFPN.CHANNELS
        self.rpn_head = RPNHead(channels)
        self.roi_head = nn.ModuleDict({"bbox_head": BBoxHead(channels, config.num_outputs)})
        self.init_detector()

    @property
    def bbox_head(self) -> BBoxHead:
        return self.roi_head["bbox_head"]

    @torch.no_grad()
    def init_detector(self) -> None:
        """As mmdetection begins: normal with deviation 0.01, the box deltas' with 0.001, the hidden layers' Xavier."""
        for module in (*self.rpn_head.modules(), *self.roi_head.modules()):
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.bbox_head.fc_reg.weight, std=0.001)
        for layer in self.bbox_head.shared_fcs:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        pyramid = super().forward(x)
        logits, deltas = zip(*map(self.rpn_head, pyramid))
        return (*pyramid[:ROI_LEVELS], *logits, *deltas)

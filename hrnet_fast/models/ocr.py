"""Object-contextual representations on HRNetV2 (`seg HRNet-OCR:lib/models/seg_hrnet_ocr.py`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .backbone import HighResolutionNet
from .blocks import conv1x1
from .config import HRNetConfig
from .heads import concat_maps, segmentation_head

MID_CHANNELS = 512
KEY_CHANNELS = 256


def bn_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class SpatialGather(nn.Module):
    """Object region representations: features (N, C, H, W) averaged by class maps (N, K, H, W) -> (N, C, K, 1)."""

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        weights = logits.flatten(2).softmax(dim=2)  # (N, K, HW)
        pixels = features.flatten(2).transpose(1, 2)  # (N, HW, C)
        return torch.matmul(weights, pixels).transpose(1, 2).unsqueeze(3)


class ObjectAttention(nn.Module):
    """Every pixel's mixture of the object representations: (N, C, H, W), (N, C, K, 1) -> (N, C, H, W)."""

    def __init__(self, channels: int, key_channels: int):
        super().__init__()

        def project() -> nn.Sequential:
            return nn.Sequential(
                conv1x1(channels, key_channels), bn_relu(key_channels),
                conv1x1(key_channels, key_channels), bn_relu(key_channels),
            )  # fmt: skip

        self.scale = key_channels**-0.5
        self.f_pixel = project()
        self.f_object = project()
        self.f_down = nn.Sequential(conv1x1(channels, key_channels), bn_relu(key_channels))
        self.f_up = nn.Sequential(conv1x1(key_channels, channels), bn_relu(channels))

    def forward(self, x: Tensor, objects: Tensor) -> Tensor:
        query = self.f_pixel(x).flatten(2).transpose(1, 2)  # (N, HW, D)
        key = self.f_object(objects).flatten(2)  # (N, D, K)
        value = self.f_down(objects).flatten(2).transpose(1, 2)  # (N, K, D)
        attention = (torch.matmul(query, key) * self.scale).softmax(dim=-1)  # (N, HW, K)
        context = torch.matmul(attention, value).transpose(1, 2)  # (N, D, HW)
        return self.f_up(context.reshape(x.shape[0], -1, x.shape[2], x.shape[3]))


class SpatialOCR(nn.Module):
    """The pixels' features beside their object context, mixed by a 1x1 convolution."""

    def __init__(self, channels: int, key_channels: int, dropout: float = 0.05):
        super().__init__()
        self.object_context_block = ObjectAttention(channels, key_channels)
        self.conv_bn_dropout = nn.Sequential(conv1x1(2 * channels, channels), bn_relu(channels), nn.Dropout2d(dropout))

    def forward(self, x: Tensor, objects: Tensor) -> Tensor:
        return self.conv_bn_dropout(torch.cat([self.object_context_block(x, objects), x], dim=1))


class OCRHRNet(HighResolutionNet):
    """HRNetV2 + OCR: [auxiliary logits, logits], each (N, classes, H/4, W/4); evaluation uses the last one."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        wide = sum(self.out_channels)
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(wide, MID_CHANNELS, 3, padding=1), nn.BatchNorm2d(MID_CHANNELS), nn.ReLU(inplace=True)
        )
        self.ocr_gather_head = SpatialGather()
        self.ocr_distri_head = SpatialOCR(MID_CHANNELS, KEY_CHANNELS)
        self.cls_head = nn.Conv2d(MID_CHANNELS, config.num_outputs, 1)
        self.aux_head = segmentation_head(wide, wide, config)
        self.init_weights()

    def forward(self, x: Tensor) -> list[Tensor]:
        features = concat_maps(self.forward_features(x), self.config.upsample, self.config.align_corners)
        auxiliary = self.aux_head(features)
        features = self.conv3x3_ocr(features)
        objects = self.ocr_gather_head(features, auxiliary)
        return [auxiliary, self.cls_head(self.ocr_distri_head(features, objects))]

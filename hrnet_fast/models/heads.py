"""The task models: the main body with the head that each task's official repository gives it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .backbone import HighResolutionNet
from .blocks import BasicBlock, Bottleneck, residual_layer
from .config import HRNetConfig
from .resize import resize

fx.wrap("resize")  # to torch.fx, as in backbone.py


def concat_maps(maps: list[Tensor], mode: str, align_corners: bool) -> Tensor:
    """All maps enlarged to the finest one's size and concatenated: (N, 15C, H, W) (paper figure 4b)."""
    size = maps[0].shape[-2:]
    return torch.cat([resize(x, size, mode, align_corners) for x in maps], dim=1)


class PoseHRNet(HighResolutionNet):
    """HRNetV1: heatmaps (N, K, H/4, W/4) from the finest map (paper figure 4a; `pose:lib/models/pose_hrnet.py`)."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        channels, kernel = self.out_channels[self.map_index], config.final_kernel
        self.final_layer = nn.Conv2d(channels, config.num_outputs, kernel, padding=kernel // 2)
        self.init_weights()

    @property
    def map_index(self) -> int:
        return {1: 0, 2: 1, 4: 2}[self.config.heatmap_map]

    @property
    def single_output(self) -> bool:
        return self.config.heatmap_map == 1

    def forward(self, x: Tensor) -> Tensor:
        return self.final_layer(self.forward_features(x)[self.map_index])


class PoseV1hHRNet(HighResolutionNet):
    """HRNetV1h: the finest map, brought to the width of V2 (15C) by a 1x1 convolution (paper section 7)."""

    single_output = True

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        wide = sum(self.out_channels)
        self.last_layer = segmentation_head(self.out_channels[0], wide, config)
        self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        return self.last_layer(self.forward_features(x)[0])


class HigherHRNet(HighResolutionNet):
    """HigherHRNet for bottom-up pose: [heatmaps and tags (N, 2K, H/4, W/4), heatmaps (N, K, H/2, W/2)].

    The finer map is the finest one beside the first result, enlarged by a transposed convolution and refined by four
    blocks (`higher:lib/models/pose_higher_hrnet.py`, `DECONV` of its configs). Heatmaps come first, then tags.
    """

    single_output = True

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        channels, kernel, joints = self.out_channels[0], config.final_kernel, config.num_outputs
        self.final_layers = nn.ModuleList(
            nn.Conv2d(channels, outputs, kernel, padding=kernel // 2) for outputs in (2 * joints, joints)
        )
        enlarge = nn.Sequential(
            nn.ConvTranspose2d(channels + 2 * joints, channels, 4, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        blocks = (nn.Sequential(BasicBlock(channels, channels)) for _ in range(4))
        self.deconv_layers = nn.ModuleList([nn.Sequential(enlarge, *blocks)])
        self.init_weights()

    def forward(self, x: Tensor) -> list[Tensor]:
        finest = self.forward_features(x)[0]
        coarse = self.final_layers[0](finest)
        finer = self.deconv_layers[0](torch.cat([finest, coarse], dim=1))
        return [coarse, self.final_layers[1](finer)]


def segmentation_head(in_channels: int, mid_channels: int, config: HRNetConfig) -> nn.Sequential:
    kernel = config.final_kernel
    return nn.Sequential(
        nn.Conv2d(in_channels, mid_channels, 1),
        nn.BatchNorm2d(mid_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(mid_channels, config.num_outputs, kernel, padding=kernel // 2),
    )


class SegmentationHRNet(HighResolutionNet):
    """HRNetV2: logits (N, classes, H/4, W/4) from all four maps (`seg:lib/models/seg_hrnet.py`)."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        wide = sum(self.out_channels)
        self.last_layer = segmentation_head(wide, wide, config)
        self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        return self.last_layer(concat_maps(self.forward_features(x), self.config.upsample, self.config.align_corners))


class LandmarkHRNet(HighResolutionNet):
    """HRNetV2 for facial landmarks: heatmaps (N, points, H/4, W/4) (`face:lib/models/hrnet.py`)."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        wide = sum(self.out_channels)
        self.head = segmentation_head(wide, wide, config)
        self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(concat_maps(self.forward_features(x), self.config.upsample, self.config.align_corners))


class ClassificationHRNet(HighResolutionNet):
    """HRNet-Wx-C: logits (N, classes); maps go up to 128 .. 1024 channels and down into each other
    (paper figure 11a; `cls:lib/models/cls_hrnet.py`)."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        planes = (32, 64, 128, 256)
        wide = [p * Bottleneck.expansion for p in planes]
        self.incre_modules = nn.ModuleList(
            residual_layer(Bottleneck, channels, p, 1) for channels, p in zip(self.out_channels, planes)
        )
        self.downsamp_modules = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
            for a, b in zip(wide, wide[1:])
        )
        self.final_layer = nn.Sequential(nn.Conv2d(wide[-1], 2048, 1), nn.BatchNorm2d(2048), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(2048, config.num_outputs)
        self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.forward_features(x)
        y = self.incre_modules[0](maps[0])
        for down, increase, x_b in zip(self.downsamp_modules, self.incre_modules[1:], maps[1:]):
            y = increase(x_b) + down(y)
        return self.classifier(self.final_layer(y).mean(dim=(2, 3)))


class ClassificationCiHRNet(HighResolutionNet):
    """HRNet-Wx-Ci: every map pooled, the 15C means concatenated, then the classifier (paper table 21)."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        self.classifier = nn.Linear(sum(self.out_channels), config.num_outputs)
        self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.cat([m.mean(dim=(2, 3)) for m in self.forward_features(x)], dim=1))


class ClassificationCiiHRNet(HighResolutionNet):
    """HRNet-Wx-Cii: strided bottlenecks, each doubling the width, bring every map to the coarsest size and to 512
    channels; the means of all 2048 are classified (paper table 21)."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        self.downsamp_modules = nn.ModuleList(
            nn.Sequential(*self._path(channels, 3 - branch)) for branch, channels in enumerate(self.out_channels)
        )
        self.classifier = nn.Linear(4 * 512, config.num_outputs)
        self.init_weights()

    @staticmethod
    def _path(channels: int, steps: int) -> list[nn.Module]:
        strides = [2] * steps or [1]
        widths = [channels] + [512 >> (len(strides) - 1 - step) for step in range(len(strides))]
        return [residual_layer(Bottleneck, a, b // 4, 1, s)[0] for a, b, s in zip(widths, widths[1:], strides)]

    def forward(self, x: Tensor) -> Tensor:
        maps = [path(m) for path, m in zip(self.downsamp_modules, self.forward_features(x))]
        return self.classifier(torch.cat(maps, dim=1).mean(dim=(2, 3)))


class HRFPN(nn.Module):
    """HRNetV2p's pyramid: all maps concatenated, reduced, average-pooled to five levels (paper figure 4c;
    `det:mmdet/models/necks/hrfpn.py`): four maps -> five maps (N, 256, H / 2^l, W / 2^l)."""

    CHANNELS = 256

    def __init__(self, in_channels: list[int], out_channels: int = CHANNELS, levels: int = 5):
        super().__init__()
        self.reduction_conv = nn.Sequential(nn.Conv2d(sum(in_channels), out_channels, 1))
        self.fpn_conv = nn.ModuleList(nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in range(levels))

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        x = self.reduction_conv(concat_maps(maps, "bilinear", False))
        levels = [x] + [F.avg_pool2d(x, 2**level, 2**level) for level in range(1, len(self.fpn_conv))]
        return tuple(conv(level) for conv, level in zip(self.fpn_conv, levels))


class DetectionHRNet(HighResolutionNet):
    """HRNetV2p: the five pyramid maps that detectors read. Backbone keys are bare, the pyramid's begin with `neck.`."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        self.neck = HRFPN(self.out_channels)
        self.init_weights()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.neck(self.forward_features(x))


class FeatureHRNet(HighResolutionNet):
    """The four maps, as backbones of mmdetection, mmsegmentation and HigherHRNet return them."""

    def __init__(self, config: HRNetConfig):
        super().__init__(config)
        self.init_weights()

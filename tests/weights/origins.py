"""Skeletons of the other code bases' models: their attribute names and forward passes, written from their constructors.

They are the independent side of every mapping test: their state_dict() keys come from module attributes, not from the
tables under test, and their forward passes tell whether a weight landed in the right place.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import hrnet_fast.models as models
from hrnet_fast.models import HighResolutionNet

SMALL = "hrnet_w18_small"
WIDTHS = (16, 32, 64, 128)
BILINEAR = {"upsample": "bilinear", "align_corners": False}


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every tensor, norm statistics included, gets values of its own; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                value.fill_(7)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.dim() > 1:
                bound = (6 / value[0].numel()) ** 0.5
                value.uniform_(-bound, bound, generator=generator)
            else:
                value.normal_(0.5 if name.endswith("weight") else 0, 0.1, generator=generator)
    return module.eval()


def backbone(**options) -> HighResolutionNet:
    return models.create_model(f"{SMALL}.features", **options)


class ConvModule(nn.Module):
    """mmcv/cnn/bricks/conv_module.py: conv (no bias if there is a norm), bn, ReLU."""

    def __init__(self, a: int, b: int, kernel: int = 1, stride: int = 1, norm: bool = True, act: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=not norm)
        if norm:
            self.bn = nn.BatchNorm2d(b)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.bn(x) if hasattr(self, "bn") else x
        return x.relu() if self.act else x


def concat(maps: list[Tensor]) -> Tensor:
    size = maps[0].shape[-2:]
    return torch.cat([F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps], 1)


class MMPose(nn.Module):
    """mmpose 1.x TopdownPoseEstimator with HeatmapHead; convs=1 is the HRNetV2 landmark head, on concatenated maps."""

    def __init__(self, outputs: int, convs: int):
        super().__init__()
        self.backbone = backbone(**BILINEAR) if convs else PoseBackbone()
        self.head = nn.Module()
        width = sum(WIDTHS) if convs else WIDTHS[0]
        if convs:
            self.head.conv_layers = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.head.final_layer = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.backbone(x)
        y = self.head.conv_layers(concat(maps)) if hasattr(self.head, "conv_layers") else maps[0]
        return self.head.final_layer(y)


class PoseBackbone(HighResolutionNet):
    """stage4 with multiscale_output=False, mmpose's default."""

    single_output = True

    def __init__(self):
        super().__init__(models.model_config(f"{SMALL}.features"))
        self.init_weights()


class MMPose0(nn.Module):
    """mmpose 0.x TopDown with TopdownHeatmapSimpleHead (num_conv_layers = convs)."""

    def __init__(self, outputs: int, convs: int):
        super().__init__()
        self.backbone = backbone(**BILINEAR) if convs else PoseBackbone()
        width = sum(WIDTHS) if convs else WIDTHS[0]
        layers = [nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU()] if convs else []
        layers.append(nn.Conv2d(width, outputs, 1))
        self.keypoint_head = nn.Module()
        self.keypoint_head.final_layer = nn.Sequential(*layers) if len(layers) > 1 else layers[0]
        self.concat = bool(convs)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.backbone(x)
        return self.keypoint_head.final_layer(concat(maps) if self.concat else maps[0])


class FCNHead(nn.Module):
    """mmsegmentation FCNHead as configs fcn_hr18 set it: one 1x1 ConvModule, then conv_seg."""

    def __init__(self, classes: int):
        super().__init__()
        width = sum(WIDTHS)
        self.conv_seg = nn.Conv2d(width, classes, 1)
        self.convs = nn.Sequential(ConvModule(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_seg(self.convs(x))


class MMSegFCN(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        self.backbone = backbone(**BILINEAR)
        self.decode_head = FCNHead(classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode_head(concat(self.backbone(x)))


class SelfAttention(nn.Module):
    """mmsegmentation ObjectAttentionBlock (self_attention_block.py with the arguments of ocr_head.py)."""

    def __init__(self, channels: int, keys: int):
        super().__init__()
        self.key_project = nn.Sequential(ConvModule(channels, keys), ConvModule(keys, keys))
        self.query_project = nn.Sequential(ConvModule(channels, keys), ConvModule(keys, keys))
        self.value_project = ConvModule(channels, keys)
        self.out_project = ConvModule(keys, channels)
        self.bottleneck = ConvModule(2 * channels, channels)

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        query = self.query_project(pixels).flatten(2).transpose(1, 2)
        key, value = self.key_project(objects).flatten(2), self.value_project(objects).flatten(2)
        weights = (query @ key * key.shape[1] ** -0.5).softmax(-1)
        context = (weights @ value.transpose(1, 2)).transpose(1, 2).reshape(len(pixels), -1, *pixels.shape[2:])
        return self.bottleneck(torch.cat([self.out_project(context), pixels], 1))


class OCRHead(nn.Module):
    """mmsegmentation OCRHead as configs ocrnet_hr18 set it."""

    def __init__(self, classes: int):
        super().__init__()
        self.conv_seg = nn.Conv2d(512, classes, 1)
        self.object_context_block = SelfAttention(512, 256)
        self.bottleneck = ConvModule(sum(WIDTHS), 512, 3)

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        x = self.bottleneck(x)
        objects = coarse.flatten(2).softmax(2) @ x.flatten(2).transpose(1, 2)
        return self.conv_seg(self.object_context_block(x, objects.transpose(1, 2).unsqueeze(3)))


class MMSegOCR(nn.Module):
    """CascadeEncoderDecoder: the FCN head's logits, then the OCR head's."""

    def __init__(self, classes: int):
        super().__init__()
        self.backbone = backbone(**BILINEAR)
        self.decode_head = nn.ModuleList([FCNHead(classes), OCRHead(classes)])

    def forward(self, x: Tensor) -> list[Tensor]:
        x = concat(self.backbone(x))
        coarse = self.decode_head[0](x)
        return [coarse, self.decode_head[1](x, coarse)]


class Bottleneck(nn.Module):
    """mmpretrain Bottleneck of a one-block ResLayer."""

    def __init__(self, a: int, b: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, b // 4, 1, bias=False), nn.BatchNorm2d(b // 4)
        self.conv2, self.bn2 = nn.Conv2d(b // 4, b // 4, 3, padding=1, bias=False), nn.BatchNorm2d(b // 4)
        self.conv3, self.bn3 = nn.Conv2d(b // 4, b, 1, bias=False), nn.BatchNorm2d(b)
        self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


class MMPretrain(nn.Module):
    """mmpretrain ImageClassifier: its neck is a list, HRFuseScales and the global average; LinearClsHead."""

    def __init__(self, classes: int):
        super().__init__()
        self.backbone = backbone()
        wide = (128, 256, 512, 1024)
        fuse = nn.Module()
        fuse.increase_layers = nn.ModuleList(nn.Sequential(Bottleneck(a, b)) for a, b in zip(WIDTHS, wide, strict=True))
        fuse.downsample_layers = nn.ModuleList(ConvModule(a, b, 3, 2) for a, b in pairwise(wide))
        fuse.final_layer = ConvModule(1024, 2048)
        self.neck = nn.Sequential(fuse, nn.AdaptiveAvgPool2d(1))
        self.head = nn.Module()
        self.head.fc = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps, (neck, mean) = self.backbone(x), self.neck
        y = neck.increase_layers[0](maps[0])
        for i in range(3):
            y = neck.downsample_layers[i](y) + neck.increase_layers[i + 1](maps[i + 1])
        return self.head.fc(mean(neck.final_layer(y)).flatten(1))


class HRFPN(nn.Module):
    """mmdetection HRFPN."""

    def __init__(self):
        super().__init__()
        self.reduction_conv = ConvModule(sum(WIDTHS), 256, norm=False, act=False)
        self.fpn_convs = nn.ModuleList(ConvModule(256, 256, 3, norm=False, act=False) for _ in range(5))

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        x = self.reduction_conv(concat(maps))
        return tuple(conv(F.avg_pool2d(x, 2**i, 2**i) if i else x) for i, conv in enumerate(self.fpn_convs))


class MMDet(nn.Module):
    """A detector: the pyramid and heads that are not HRNet's."""

    def __init__(self):
        super().__init__()
        self.backbone = backbone()
        self.neck = HRFPN()
        self.rpn_head = nn.Module()
        self.rpn_head.rpn_conv = nn.Conv2d(256, 256, 3)
        self.roi_head = nn.Module()
        self.roi_head.bbox_head = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.neck(self.backbone(x))


class MMDetFasterRCNN(nn.Module):
    """mmdetection FasterRCNN: RPNHead and StandardRoIHead with Shared2FCBBoxHead."""

    def __init__(self, classes: int):
        super().__init__()
        self.backbone = backbone()
        self.neck = HRFPN()
        self.rpn_head = nn.Module()
        self.rpn_head.rpn_conv = nn.Conv2d(256, 256, 3, padding=1)
        self.rpn_head.rpn_cls = nn.Conv2d(256, 3, 1)
        self.rpn_head.rpn_reg = nn.Conv2d(256, 12, 1)
        self.roi_head = nn.Module()
        self.roi_head.bbox_head = nn.Module()
        self.roi_head.bbox_head.fc_cls = nn.Linear(1024, classes + 1)
        self.roi_head.bbox_head.fc_reg = nn.Linear(1024, 4 * classes)
        self.roi_head.bbox_head.shared_fcs = nn.ModuleList([nn.Linear(256 * 49, 1024), nn.Linear(1024, 1024)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        pyramid, head = self.neck(self.backbone(x)), self.rpn_head
        hidden = [F.relu(head.rpn_conv(level)) for level in pyramid]
        return (*pyramid[:4], *map(head.rpn_cls, hidden), *map(head.rpn_reg, hidden))


class OfficialDetector(nn.Module):
    """HRNet-Object-Detection: the neck of nn.Conv2d, under a detector with its own heads."""

    def __init__(self):
        super().__init__()
        self.backbone = backbone()
        self.neck = models.create_model(f"{SMALL}.det_coco").neck
        self.bbox_head = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.neck(self.backbone(x))


class FullModel(nn.Module):
    """HRNet-Semantic-Segmentation lib/utils/utils.py: checkpoints are of the model together with its loss."""

    def __init__(self, model: nn.Module, classes: int):
        super().__init__()
        self.model = model
        self.loss = nn.Module()
        self.loss.criterion = nn.Module()
        self.loss.criterion.register_buffer("weight", torch.ones(classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class HigherOutputs(nn.Module):
    """The outputs of HigherHRNet: lib/models/pose_higher_hrnet.py, mmpose 0.x ae_higher_resolution_head.py."""

    def __init__(self):
        super().__init__()
        width = WIDTHS[0]
        self.final_layers = nn.ModuleList([nn.Conv2d(width, 34, 1), nn.Conv2d(width, 17, 1)])
        up = [nn.ConvTranspose2d(width + 34, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        blocks = [nn.Sequential(models.BasicBlock(width, width)) for _ in range(4)]
        self.deconv_layers = nn.ModuleList([nn.Sequential(nn.Sequential(*up), *blocks)])

    def outputs(self, x: Tensor) -> list[Tensor]:
        y = self.final_layers[0](x)
        return [y, self.final_layers[1](self.deconv_layers[0](torch.cat((x, y), 1)))]


class OfficialHigher(HigherOutputs):
    """HigherHRNet lib/models/pose_higher_hrnet.py: PoseHRNet's body, its children beside the outputs."""

    def __init__(self):
        super().__init__()
        self.body = [PoseBackbone()]  # a list, so that only its children have keys
        for name, child in self.body[0].named_children():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.outputs(self.body[0](x)[0])


class MMPose0Higher(nn.Module):
    """mmpose 0.x AssociativeEmbedding with AEHigherResolutionHead."""

    def __init__(self):
        super().__init__()
        self.backbone = PoseBackbone()
        self.keypoint_head = HigherOutputs()

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.keypoint_head.outputs(self.backbone(x)[0])


def _ours(head: str, outputs: int | None, **options) -> HighResolutionNet:
    return models.create_model(SMALL, head=head, **({"num_outputs": outputs} if outputs else {}), **options)


# (layout, head) -> (a model of that code base, ours).
ORIGINS: dict[tuple[str, str], Callable[[], tuple[nn.Module, HighResolutionNet]]] = {
    ("mmpose", "pose"): lambda: (MMPose(17, 0), _ours("pose", 17)),
    ("mmpose", "landmark"): lambda: (MMPose(29, 1), _ours("landmark", 29)),
    ("mmpose0", "pose"): lambda: (MMPose0(14, 0), models.create_model(f"{SMALL}.pose_crowdpose_256x192")),
    ("mmpose0", "landmark"): lambda: (MMPose0(29, 1), _ours("landmark", 29)),
    ("mmpose0", "pose_higher"): lambda: (MMPose0Higher(), _ours("pose_higher", 17)),
    ("higherhrnet", "pose_higher"): lambda: (OfficialHigher(), _ours("pose_higher", 17)),
    ("mmseg", "segmentation"): lambda: (MMSegFCN(19), _ours("segmentation", 19)),
    ("mmseg", "ocr"): lambda: (MMSegOCR(19), _ours("ocr", 19, align_corners=False)),
    ("mmdet", "detection"): lambda: (MMDet(), _ours("detection", None)),
    ("mmdet", "faster_rcnn"): lambda: (MMDetFasterRCNN(6), _ours("faster_rcnn", 6)),
    ("mmpretrain", "classification"): lambda: (MMPretrain(10), _ours("classification", 10)),
    ("official_det", "detection"): lambda: (OfficialDetector(), _ours("detection", None)),
    ("official_seg", "segmentation"): lambda: (FullModel(_ours("segmentation", 19), 19), _ours("segmentation", 19)),
    ("official_seg", "ocr"): lambda: (FullModel(_ours("ocr", 19), 19), _ours("ocr", 19)),
}

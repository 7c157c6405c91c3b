"""How each code base names the same weights: pattern tables, read in both directions.

A layout is a prefix for the backbone, whose keys are the same everywhere, and rules for the head, each a pair
(their key, official key) in which `{i}` stands for a number and `{rest}` for anything. Official keys are those of
`hrnet_fast.models`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from hrnet_fast.models.config import HEADS

_BACKBONE = re.compile(r"(?:conv[12]|bn[12]|layer1|transition[123]|stage[234])\.")

Rules = tuple[tuple[str, str], ...]

_AS_IS: Rules = (("{rest}", "{rest}"),)


@dataclass(frozen=True)
class Layout:
    """One code base's keys for some heads.

    heads: heads of ours that can be written this way (none: read only); marks: keys that tell it from every layout
    before which it stands in LAYOUTS; absent: keys that it never has; biasless: (convolution, norm) pairs, official
    names, whose convolution has no bias there: official biases move into the norm's running mean and back as zeros.
    """

    name: str
    source: str
    heads: tuple[str, ...]
    marks: tuple[str, ...]
    prefix: str = ""
    rules: Rules = ()
    biasless: Rules = ()
    absent: tuple[str, ...] = ()

    def official_key(self, key: str) -> str | None:
        """Their key -> the official key, or None if it names nothing in the network."""
        bare = key[len(self.prefix) :]
        if key.startswith(self.prefix) and is_backbone(bare):
            return bare
        return _apply(self.rules, key, 0)

    def their_key(self, official: str) -> str | None:
        """The official key -> their key, or None if they have no place for it."""
        return self.prefix + official if is_backbone(official) else _apply(self.rules, official, 1)

    def matches(self, keys: Mapping[str, object]) -> bool:
        return all(_has(keys, mark) for mark in self.marks) and not any(_has(keys, key) for key in self.absent)


def _conv_bn(theirs: str, ours: str) -> Rules:
    """mmcv's ConvModule {conv, bn} is the Sequential {0, 1} of the official code."""
    return ((f"{theirs}.conv.{{rest}}", f"{ours}.0.{{rest}}"), (f"{theirs}.bn.{{rest}}", f"{ours}.1.{{rest}}"))


def _conv_bn_relu_twice(theirs: str, ours: str) -> Rules:
    """Two ConvModules; the official code nests each norm with its ReLU in a Sequential: 0, 1.0, 2, 3.0."""
    return (
        *_nested_conv_bn(f"{theirs}.0", ours, 0),
        *_nested_conv_bn(f"{theirs}.1", ours, 2),
    )


def _nested_conv_bn(theirs: str, ours: str, at: int = 0) -> Rules:
    return (
        (f"{theirs}.conv.{{rest}}", f"{ours}.{at}.{{rest}}"),
        (f"{theirs}.bn.{{rest}}", f"{ours}.{at + 1}.0.{{rest}}"),
    )


_BOX_PARTS = ("shared_fcs", "fc_cls", "fc_reg")
_ATTENTION = "decode_head.1.object_context_block"
_OFFICIAL_ATTENTION = "ocr_distri_head.object_context_block"
_FPN: Rules = (
    ("neck.reduction_conv.conv.{rest}", "neck.reduction_conv.0.{rest}"),
    ("neck.fpn_convs.{i}.conv.{rest}", "neck.fpn_conv.{i}.{rest}"),
)
_FASTER_RCNN: Rules = tuple(
    (key, key) for key in ("rpn_head.{rest}", *(f"roi_head.bbox_head.{part}.{{rest}}" for part in _BOX_PARTS))
)


def _mmpretrain(neck: str) -> Layout:
    return Layout(
        "mmpretrain",
        "open-mmlab/mmpretrain (and mmclassification): mmpretrain/models/necks/hr_fuse.py",
        ("classification",),
        (f"{neck}.increase_layers.{{rest}}",),
        "backbone.",
        (
            (f"{neck}.increase_layers.{{i}}.{{rest}}", "incre_modules.{i}.{rest}"),
            *_conv_bn(f"{neck}.downsample_layers.{{i}}", "downsamp_modules.{i}"),
            *_conv_bn(f"{neck}.final_layer", "final_layer"),
            ("head.fc.{rest}", "classifier.{rest}"),
        ),
        (("downsamp_modules.{i}.0", "downsamp_modules.{i}.1"), ("final_layer.0", "final_layer.1")),
    )


# In the order of detection: the first that matches wins.
LAYOUTS = (
    _mmpretrain("neck.0"),  # a list of necks, as its configs have it
    _mmpretrain("neck"),
    Layout(
        "mmpose",
        "open-mmlab/mmpose 1.x: mmpose/models/heads/heatmap_heads/heatmap_head.py, with conv_out_channels",
        ("landmark",),
        ("head.conv_layers.0.{rest}", "head.final_layer.{rest}"),
        "backbone.",
        (("head.final_layer.{rest}", "head.3.{rest}"), ("head.conv_layers.{i}.{rest}", "head.{i}.{rest}")),
    ),
    Layout(
        "mmpose",
        "open-mmlab/mmpose 1.x: mmpose/models/heads/heatmap_heads/heatmap_head.py",
        ("pose",),
        ("head.final_layer.{rest}", "backbone.{rest}"),
        "backbone.",
        (("head.final_layer.{rest}", "final_layer.{rest}"),),
    ),
    Layout(
        "mmpose0",
        "open-mmlab/mmpose 0.x: mmpose/models/heads/topdown_heatmap_simple_head.py, with num_conv_layers",
        ("landmark",),
        ("keypoint_head.final_layer.0.{rest}",),
        "backbone.",
        (("keypoint_head.final_layer.{i}.{rest}", "head.{i}.{rest}"),),
    ),
    Layout(
        "mmpose0",
        "open-mmlab/mmpose 0.x: mmpose/models/heads/topdown_heatmap_simple_head.py",
        ("pose",),
        ("keypoint_head.final_layer.{rest}",),
        "backbone.",
        (("keypoint_head.final_layer.{rest}", "final_layer.{rest}"),),
    ),
    Layout(
        "mmpose0",
        "open-mmlab/mmpose 0.x: mmpose/models/heads/ae_higher_resolution_head.py",
        ("pose_higher",),
        ("keypoint_head.final_layers.{rest}",),
        "backbone.",
        (
            ("keypoint_head.final_layers.{rest}", "final_layers.{rest}"),
            ("keypoint_head.deconv_layers.{rest}", "deconv_layers.{rest}"),
        ),
    ),
    Layout(
        "mmseg",
        "open-mmlab/mmsegmentation: mmseg/models/decode_heads/{fcn_head,ocr_head}.py, configs ocrnet_hr*",
        ("ocr",),
        ("decode_head.1.{rest}",),
        "backbone.",
        (
            *_conv_bn("decode_head.0.convs.0", "aux_head"),
            ("decode_head.0.conv_seg.{rest}", "aux_head.3.{rest}"),
            *_conv_bn("decode_head.1.bottleneck", "conv3x3_ocr"),
            *_conv_bn_relu_twice(f"{_ATTENTION}.query_project", f"{_OFFICIAL_ATTENTION}.f_pixel"),
            *_conv_bn_relu_twice(f"{_ATTENTION}.key_project", f"{_OFFICIAL_ATTENTION}.f_object"),
            *_nested_conv_bn(f"{_ATTENTION}.value_project", f"{_OFFICIAL_ATTENTION}.f_down"),
            *_nested_conv_bn(f"{_ATTENTION}.out_project", f"{_OFFICIAL_ATTENTION}.f_up"),
            *_nested_conv_bn(f"{_ATTENTION}.bottleneck", "ocr_distri_head.conv_bn_dropout"),
            ("decode_head.1.conv_seg.{rest}", "cls_head.{rest}"),
        ),
        (("aux_head.0", "aux_head.1"), ("conv3x3_ocr.0", "conv3x3_ocr.1")),
    ),
    Layout(
        "mmseg",
        "open-mmlab/mmsegmentation: mmseg/models/decode_heads/fcn_head.py, configs fcn_hr*",
        ("segmentation",),
        ("decode_head.{rest}",),
        "backbone.",
        (*_conv_bn("decode_head.convs.0", "last_layer"), ("decode_head.conv_seg.{rest}", "last_layer.3.{rest}")),
        (("last_layer.0", "last_layer.1"),),
    ),
    Layout(
        "official_det",
        "HRNet/HRNet-Object-Detection: mmdet/models/necks/hrfpn.py",
        ("detection",),
        ("neck.reduction_conv.0.{rest}", "backbone.{rest}"),
        "backbone.",
        (("neck.{rest}", "neck.{rest}"),),
    ),
    Layout(
        "mmdet",
        "open-mmlab/mmdetection 2 and 3: mmdet/models/roi_heads, configs faster*_hrnetv2p*",
        ("faster_rcnn",),
        ("neck.reduction_conv.conv.{rest}", "roi_head.bbox_head.shared_fcs.{rest}"),
        "backbone.",
        (*_FPN, *_FASTER_RCNN),
    ),
    Layout(
        "mmdet",
        "open-mmlab/mmdetection: mmdet/models/necks/hrfpn.py",
        ("detection",),
        ("neck.reduction_conv.conv.{rest}",),
        "backbone.",
        _FPN,
    ),
    Layout(
        "mm_backbone",
        "any open-mmlab model that holds an HRNet as `backbone`",
        ("features",),
        ("backbone.{rest}",),
        "backbone.",
    ),
    Layout(
        "official_seg",
        "HRNet/HRNet-Semantic-Segmentation: lib/utils/utils.py FullModel around lib/models/seg_hrnet*.py",
        ("segmentation", "ocr"),
        ("model.{rest}",),
        "model.",
        (("model.{rest}", "{rest}"),),
    ),
    Layout(
        "higherhrnet",
        "HRNet/HigherHRNet-Human-Pose-Estimation: lib/models/pose_higher_hrnet.py",
        ("pose_higher",),
        ("final_layers.{rest}",),
        rules=_AS_IS,
    ),
    Layout(
        "timm",
        "huggingface/pytorch-image-models: timm/models/hrnet.py, features_only or head='incre'",
        (),
        ("incre_modules.{rest}",),
        rules=_AS_IS,
        absent=("classifier.{rest}",),
    ),
    Layout(
        "timm",
        "huggingface/pytorch-image-models: timm/models/hrnet.py, *_ssld (head_conv_bias=False)",
        (),
        ("downsamp_modules.0.1.weight", "classifier.weight"),
        rules=_AS_IS,
        biasless=(("downsamp_modules.{i}.0", "downsamp_modules.{i}.1"), ("final_layer.0", "final_layer.1")),
        absent=("downsamp_modules.{i}.0.bias", "final_layer.0.bias"),
    ),
    Layout(
        "official",
        "leoxiaobin/deep-high-resolution-net.pytorch, HRNet/*: no prefix",
        HEADS,
        (),
        rules=_AS_IS,
    ),
    # Same keys as official, so detection never reaches these: they are names to write.
    Layout(
        "timm",
        "huggingface/pytorch-image-models: timm/models/hrnet.py",
        ("classification", "features"),
        (),
        rules=_AS_IS,
    ),
    Layout("simple_hrnet", "stefanopini/simple-HRNet: models_/hrnet.py", ("pose",), (), rules=_AS_IS),
)

# Why keys that belong to no part of the network are left out: (pattern, reason).
STRANGERS = (
    ("loss.{rest}", "training loss, not part of the network"),
    ("ema_{rest}", "moving average kept beside the weights"),
    ("{rest}n_averaged", "counter of a moving average"),
    ("n_averaged", "counter of a moving average"),
    ("auxiliary_head.{rest}", "auxiliary training head"),
    ("rpn_head.{rest}", "detector on top of the pyramid, not part of HRNet"),
    ("roi_head.{rest}", "detector on top of the pyramid, not part of HRNet"),
    ("bbox_head.{rest}", "detector on top of the pyramid, not part of HRNet"),
    ("mask_head.{rest}", "detector on top of the pyramid, not part of HRNet"),
)


def is_backbone(key: str) -> bool:
    """Whether an official key is of the body that all heads share."""
    return _BACKBONE.match(key) is not None


def stranger_reason(key: str) -> str:
    """Why a key that no rule maps is left out."""
    return next((why for pattern, why in STRANGERS if _regex(pattern).fullmatch(key)), "names nothing in an HRNet")


def detect_layout(keys: Iterable[str]) -> Layout:
    """The layout of a checkpoint, by its keys alone. Bare keys that fit nothing else are official."""
    found = dict.fromkeys(keys)
    return next(layout for layout in LAYOUTS if layout.matches(found))


def layout_for(name: str, head: str) -> Layout | None:
    """The layout of that name that can write that head, if there is one."""
    return next((layout for layout in LAYOUTS if layout.name == name and head in layout.heads), None)


def layout_names() -> list[str]:
    return list(dict.fromkeys(layout.name for layout in LAYOUTS))


def fill_pattern(pattern: str, key_pattern: str, key: str) -> str | None:
    """`pattern` with the slots that `key_pattern` binds in `key`, or None if it does not fit."""
    match = _regex(key_pattern).fullmatch(key)
    return pattern.format(**match.groupdict()) if match else None


def _apply(rules: Rules, key: str, side: int) -> str | None:
    found = (fill_pattern(rule[1 - side], rule[side], key) for rule in rules)
    return next((result for result in found if result is not None), None)


def _has(keys: Mapping[str, object], pattern: str) -> bool:
    return pattern in keys if "{" not in pattern else any(map(_regex(pattern).fullmatch, keys))


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{i\}|\{rest\})", pattern)
    slots = {"{i}": r"(?P<i>\d+)", "{rest}": r"(?P<rest>.+)"}
    return re.compile("".join(slots.get(part) or re.escape(part) for part in parts))

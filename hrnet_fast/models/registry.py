"""Names to models: `arch.tag`, as timm names them."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from . import heads
from .backbone import HighResolutionNet
from .config import ARCHITECTURES, Architecture, HRNetConfig, Options, standard
from .faster_rcnn import FasterRCNNHRNet
from .ocr import OCRHRNet

if TYPE_CHECKING:
    from typing_extensions import Unpack

MODEL_CLASSES: Mapping[str, type[HighResolutionNet]] = MappingProxyType({
    "pose": heads.PoseHRNet,
    "pose_v1h": heads.PoseV1hHRNet,
    "pose_higher": heads.HigherHRNet,
    "segmentation": heads.SegmentationHRNet,
    "ocr": OCRHRNet,
    "landmark": heads.LandmarkHRNet,
    "classification": heads.ClassificationHRNet,
    "classification_ci": heads.ClassificationCiHRNet,
    "classification_cii": heads.ClassificationCiiHRNet,
    "detection": heads.DetectionHRNet,
    "faster_rcnn": FasterRCNNHRNet,
    "features": heads.FeatureHRNet,
})  # fmt: skip

_BILINEAR = Options(upsample="bilinear", align_corners=False)
_OCR = Options(head="ocr", upsample="bilinear", align_corners=True)
_FACE = Options(head="landmark", input_size=(256, 256), bn_momentum=0.01, **_BILINEAR)
_CLASSES = Options(head="classification", num_outputs=1000)

# What a tag fixes: outputs, evaluation size and the options of that dataset's official config (`experiments/**.yaml`).
TAGS: Mapping[str, Options] = MappingProxyType({
    "cls_in1k": _CLASSES,
    "cls_bottleneck_in1k": _CLASSES,
    "cls_ci_in1k": {**_CLASSES, "head": "classification_ci"},
    "cls_cii_in1k": {**_CLASSES, "head": "classification_cii"},
    "pose_coco_256x192": Options(head="pose", num_outputs=17, input_size=(256, 192)),
    "pose_coco_384x288": Options(head="pose", num_outputs=17, input_size=(384, 288)),
    "pose_mpii_256x256": Options(head="pose", num_outputs=16, input_size=(256, 256)),
    "pose_crowdpose_256x192": Options(head="pose", num_outputs=14, input_size=(256, 192)),
    "pose_v1h_coco_256x192": Options(head="pose_v1h", num_outputs=17, input_size=(256, 192)),
    "pose_higher_coco_512x512": Options(head="pose_higher", num_outputs=17, input_size=(512, 512)),
    "pose_higher_coco_640x640": Options(head="pose_higher", num_outputs=17, input_size=(640, 640)),
    "pose_higher_crowdpose_512x512": Options(head="pose_higher", num_outputs=14, input_size=(512, 512)),
    "pose_higher_crowdpose_640x640": Options(head="pose_higher", num_outputs=14, input_size=(640, 640)),
    "seg_cityscapes": Options(head="segmentation", num_outputs=19, input_size=(1024, 2048), **_BILINEAR),
    "seg_lip": Options(head="segmentation", num_outputs=20, input_size=(473, 473), **_BILINEAR),
    "seg_pascal_context59": Options(head="segmentation", num_outputs=59, input_size=(520, 520), **_BILINEAR),
    "seg_pascal_context60": Options(head="segmentation", num_outputs=60, input_size=(520, 520), **_BILINEAR),
    "seg_ocr_cityscapes": Options(**_OCR, num_outputs=19, input_size=(1024, 2048)),
    "seg_ocr_lip": Options(**_OCR, num_outputs=20, input_size=(473, 473)),
    "seg_ocr_pascal_context59": Options(**_OCR, num_outputs=59, input_size=(520, 520)),
    "seg_ocr_pascal_context60": Options(**_OCR, num_outputs=60, input_size=(520, 520)),
    "landmark_wflw": Options(**_FACE, num_outputs=98),
    "landmark_300w": Options(**_FACE, num_outputs=68),
    "landmark_cofw": Options(**_FACE, num_outputs=29),
    "landmark_aflw": Options(**_FACE, num_outputs=19),
    "det_coco": Options(head="detection", input_size=(800, 1344)),
    "faster_rcnn_coco": Options(head="faster_rcnn", num_outputs=80, input_size=(800, 1344)),
    "features": Options(head="features"),
})  # fmt: skip

# Classifiers that only the paper has (tables 20 and 21), with the widths that it gives them.
_PAPER_CLASSIFIERS = MappingProxyType({
    "cls_bottleneck_in1k": (44, 76, 96),
    "cls_ci_in1k": (27, 36, 45),
    "cls_cii_in1k": (25, 34, 43),
})  # fmt: skip

_DEFAULT_TAG = MappingProxyType({
    "pose": "pose_coco_256x192", "pose_v1h": "pose_v1h_coco_256x192", "pose_higher": "pose_higher_coco_512x512",
    "segmentation": "seg_cityscapes", "ocr": "seg_ocr_cityscapes", "landmark": "landmark_wflw",
    "classification": "cls_in1k", "classification_ci": "cls_ci_in1k", "classification_cii": "cls_cii_in1k",
    "detection": "det_coco", "faster_rcnn": "faster_rcnn_coco", "features": "features",
})  # fmt: skip
_OUTPUTS = ("num_classes", "num_joints", "num_keypoints", "out_channels")  # what other code bases call num_outputs


def list_models(pattern: str = "*") -> list[str]:
    """Names that `create_model` knows, filtered by a shell wildcard: `list_models("*pose*")`.

    Any other width works too: `create_model("hrnet_w24.features")`.
    """
    names = [f"{arch}.{tag}" for arch in ARCHITECTURES for tag in TAGS if tag not in _PAPER_CLASSIFIERS]
    names += [f"hrnet_w{width}.{tag}" for tag, widths in _PAPER_CLASSIFIERS.items() for width in widths]
    return fnmatch.filter(names, pattern)


def model_config(name: str, **changes: Unpack[Options]) -> HRNetConfig:
    """The frozen config behind a name: `arch.tag`, or `arch` with at least `head=` given.

    changes: fields of HRNetConfig. Raises KeyError for an unknown name, with the closest ones;
    TypeError for what is no text.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"a model is named by a text such as 'hrnet_w32.pose_coco_256x192', not by {type(name).__name__}"
        )
    arch, _, tag = name.partition(".")
    if not tag:
        if "head" not in changes:
            raise _unknown(name, "a model name is `arch.tag`, or `arch` with head=...")
        if changes["head"] not in _DEFAULT_TAG:
            raise ValueError(f"head={changes['head']!r} is not known; choose one of {', '.join(_DEFAULT_TAG)}")
        tag = _DEFAULT_TAG[changes["head"]]
        name = f"{arch}.{tag}" if "num_outputs" not in changes else f"{arch}.{changes['head']}"
    architecture = _architecture(arch, "bottleneck" if tag == "cls_bottleneck_in1k" else "basic")
    if architecture is None or tag not in TAGS:
        raise _unknown(name, "no such model")
    fields: Options = {**TAGS[tag], **changes}
    known = Options.__annotations__.keys()
    if unknown := sorted(fields.keys() - known):
        hint = "use num_outputs" if unknown[0] in _OUTPUTS else f"the options are {', '.join(sorted(known))}"
        raise TypeError(f"create_model has no option {unknown[0]!r}; {hint}")
    return HRNetConfig(name, architecture, **fields)


def create_model(name: str, **changes: Unpack[Options]) -> HighResolutionNet:
    """A plain, trainable nn.Module with the official keys, randomly initialised.

    name: `arch.tag` (see `list_models`), or `arch` with `head=` and usually `num_outputs=`:
        create_model("hrnet_w40", head="segmentation", num_outputs=19)
    changes: any field of `HRNetConfig` (upsample, align_corners, bn_momentum, final_kernel, fusion, ...).
    Errors: KeyError for an unknown name, with the closest ones; ValueError or TypeError for an unknown option.
    """
    config = model_config(name, **changes)
    return MODEL_CLASSES[config.head](config)


def _architecture(name: str, block: str) -> Architecture | None:
    if block == "basic" and name in ARCHITECTURES:
        return ARCHITECTURES[name]
    match = re.fullmatch(r"hrnet_w(\d+)", name)
    width = int(match[1]) if match else 0
    return standard(width, block) if width > 0 and (block == "basic" or width % 4 == 0) else None


class UnknownModelError(KeyError):
    """No model of that name; the message suggests the closest ones."""

    def __str__(self) -> str:
        return self.args[0]


def _unknown(name: str, why: str) -> UnknownModelError:
    close = _closest(name.lower())
    suggestion = f"did you mean {' or '.join(map(repr, close))}?" if close else "see hrnet_fast.list_models()"
    return UnknownModelError(f"unknown model {name!r}: {why}; {suggestion}")


def _closest(name: str) -> list[str]:
    """Up to three names: tags that begin as asked, or nearly so, of the architecture asked for or the nearest one;
    failing that, names that hold the given one or resemble it."""
    known = list_models()
    arch, _, tag = name.partition(".")
    any_width = re.fullmatch(r"hrnet_w[1-9]\d*", arch)
    nearest = [arch] if any_width else difflib.get_close_matches(arch, ARCHITECTURES, n=1, cutoff=0.4)
    tags = [t for t in TAGS if tag and t.startswith(tag)] or difflib.get_close_matches(tag, TAGS, n=len(TAGS))
    names = [f"{a}.{t}" for a in nearest for t in tags if t not in _PAPER_CLASSIFIERS or f"{a}.{t}" in known]
    return (names or [n for n in known if name in n] or difflib.get_close_matches(name, known))[:3]

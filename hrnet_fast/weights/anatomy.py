"""What network a state dict belongs to, told from official keys and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hrnet_fast.models import ARCHITECTURES, Architecture, list_models, model_config
from hrnet_fast.models.config import HEADS as BUILT
from hrnet_fast.models.config import standard

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Head:
    """How a head is recognised: `mark` is a key that only it has, `output` the key whose first size is `rows` times its
    outputs."""

    kind: str
    words: str
    mark: str
    output: str | None = None
    rows: int = 1


# In the order of recognition. The last three are heads that only other code bases have.
HEADS = (
    Head("ocr", "segmentation with OCR", "cls_head.weight", "cls_head.weight"),
    Head("landmark", "landmark", "head.3.weight", "head.3.weight"),
    Head("segmentation", "segmentation", "last_layer.3.weight", "last_layer.3.weight"),
    Head("faster_rcnn", "Faster R-CNN", "roi_head.bbox_head.fc_cls.weight", "roi_head.bbox_head.fc_reg.weight", 4),
    Head("detection", "detection pyramid", "neck.reduction_conv.0.weight"),
    Head("pose", "pose", "final_layer.weight", "final_layer.weight"),
    Head("pose_higher", "HigherHRNet pose", "final_layers.0.weight", "final_layers.1.weight"),
    Head("pretraining", "ImageNet pretraining", "head.0.0.0.conv1.weight", "classifier.weight"),
    Head("classification", "classification", "final_layer.0.weight", "classifier.weight"),
    Head("classification_cii", "classification (Cii)", "downsamp_modules.0.0.conv1.weight", "classifier.weight"),
    Head("increased", "increased features", "incre_modules.0.0.conv1.weight"),
    Head("classification_ci", "classification (Ci)", "classifier.weight", "classifier.weight"),
)
_V1H = Head("pose_v1h", "pose (V1h)", "last_layer.3.weight", "last_layer.3.weight")
_NONE = Head("features", "backbone only", "")

# (pattern, what it looks like) of networks that are often taken for HRNets.
_FAMILIES = (
    (r"(?:la1|tr1|st2|conv_layer1_1)\..*|.*\._mean", "a PaddlePaddle HRNet, whose key names are not supported"),
    (r"(?:stem\.conv1\.conv|stage0\.0\.layers)\..*", "a Lite-HRNet"),
    (r"stage\d\.\d+\.branches\.\d+\.\d+\.(?:attn|mlp|ffn)\..*", "an HRFormer"),
    (r"layer4\.\d+\.conv1\.weight", "a ResNet"),
    (r"(?:.*\.)?patch_embed.*", "a vision transformer"),
    (r"features\.\d+\..*", "a VGG or MobileNet"),
    (r"(?:.*\.)?blocks\.\d+\..*", "an EfficientNet or a transformer"),
    (r"model\.\d+\..*", "a YOLO"),
)


@dataclass(frozen=True)
class Anatomy:
    """Body and head of an HRNet state dict.

    layer1: (blocks, planes); branches, modules, blocks: of stages 2, 3, 4; widths: of each stage's branches, after the
    block's expansion; single_output: the last module fuses only its finest map; outputs: of the head, if counted.
    """

    channels: int
    layer1: tuple[int, int]
    modules: tuple[int, ...]
    blocks: tuple[int, ...]
    widths: tuple[tuple[int, ...], ...]
    block: str
    single_output: bool
    head: Head
    outputs: int | None

    @property
    def architecture(self) -> str | None:
        """The name of the architecture with this body, or None if it is not one of the family."""
        body = (self.widths[-1], *self.layer1, self.modules, set(self.blocks), self.block)
        for known in ARCHITECTURES.values():
            if body == _body(known):
                return known.name
        width = self.widths[-1][0] if self.widths[-1] else 0
        full = standard(width, self.block)
        return full.name if body == _body(full) else None

    @property
    def words(self) -> str:
        """For example `hrnet_w48 pose (17 outputs)`."""
        name = self.architecture or f"an HRNet with widths {_slashes(self.widths[-1])}"
        return f"{name} {self.head.words}" + (f" ({self.outputs} outputs)" if self.outputs else "")

    def body_differences(self, other: Anatomy) -> list[str]:
        """How this body differs from the other one, each a phrase `this against other`."""
        pairs = [
            ("input channels", self.channels, other.channels),
            ("blocks and planes of layer1", self.layer1, other.layer1),
            ("modules of stages 2, 3, 4", self.modules, other.modules),
            ("blocks of stages 2, 3, 4", self.blocks, other.blocks),
            ("widths", self.widths[-1], other.widths[-1]),
            ("block type", self.block, other.block),
            ("branches of stages 2, 3, 4", tuple(map(len, self.widths)), tuple(map(len, other.widths))),
        ]
        return [f"{what} {_slashes(mine)} against {_slashes(theirs)}" for what, mine, theirs in pairs if mine != theirs]


def anatomy_of(shapes: Shapes) -> Anatomy | None:
    """The anatomy of {official key: shape}, or None if these are not the keys of an HRNet."""
    if not all(f"stage{stage}.0.branches.0.0.conv1.weight" in shapes for stage in (2, 3, 4)):
        return None
    layer1 = shapes.get("layer1.0.conv1.weight", (0,))
    stages = [_stage(shapes, stage) for stage in (2, 3, 4)]
    head = _head(shapes)
    last = stages[-1][0] - 1
    return Anatomy(
        channels=shapes.get("conv1.weight", (0, 0))[1],
        layer1=(_count(shapes, "layer1."), layer1[0]),
        modules=tuple(modules for modules, _, _ in stages),
        blocks=tuple(blocks for _, blocks, _ in stages),
        widths=tuple(widths for _, _, widths in stages),
        block="bottleneck" if "stage4.0.branches.0.0.conv3.weight" in shapes else "basic",
        single_output=not any(key.startswith(f"stage4.{last}.fuse_layers.1.") for key in shapes),
        head=head,
        outputs=shapes[head.output][0] // head.rows if head.output and head.output in shapes else None,
    )


def constructor(architecture: str, block: str, head: str, outputs: int | None, like: str) -> str | None:
    """The call that builds a model, as a user would write it; of several names, the one with the tag of `like`. None if
    there is no such call."""
    names = []
    for name in list_models(f"{architecture}.*"):
        config = model_config(name)
        if (config.head, config.num_outputs, config.architecture.block) == (head, outputs or 0, block):
            names.append(name)
    if names:
        same_tag = f"{architecture}.{like.partition('.')[2]}"
        return f"create_model({same_tag if same_tag in names else names[0]!r})"
    number = f", num_outputs={outputs}" if outputs else ""
    if block == "bottleneck":
        return f"create_model({f'{architecture}.cls_bottleneck_in1k'!r}{number})" if head == "classification" else None
    return f"create_model({architecture!r}, head={head!r}{number})" if head in BUILT else None


def foreign_words(keys: Iterable[str]) -> str:
    """What keys that belong to no HRNet look like: `a ResNet (keys such as 'layer4.0.conv1.weight')`."""
    keys = list(keys)
    for pattern, words in _FAMILIES:
        if example := next((key for key in keys if re.fullmatch(pattern, key)), None):
            return f"{words} (keys such as {example!r})"
    names = list(dict.fromkeys(key.split(".")[0] for key in keys))
    shown = ", ".join(repr(name)[1:-1] for name in names[:5]) + (", ..." if len(names) > 5 else "")
    return f"another network (keys begin with {shown}; the first is {keys[0]!r})"


def _stage(shapes: Shapes, stage: int) -> tuple[int, int, tuple[int, ...]]:
    """(modules, blocks of a branch, widths of the branches) of a stage."""
    branches = _count(shapes, f"stage{stage}.0.branches.")
    first = [f"stage{stage}.0.branches.{b}.0" for b in range(branches)]
    ends = [shapes.get(f"{f}.conv3.weight", shapes.get(f"{f}.conv2.weight", (0,)))[0] for f in first]
    blocks = _count(shapes, f"stage{stage}.0.branches.0.")
    return _count(shapes, f"stage{stage}."), blocks, tuple(ends)


def _count(shapes: Shapes, prefix: str) -> int:
    """How many children `prefix` has."""
    return len({key[len(prefix) :].partition(".")[0] for key in shapes if key.startswith(prefix)})


def _head(shapes: Shapes) -> Head:
    head = next((head for head in HEADS if head.mark in shapes), _NONE)
    if head.kind == "segmentation" and "last_layer.0.weight" in shapes:
        outer, inner = shapes["last_layer.0.weight"][:2]
        return head if outer == inner else _V1H
    return head


def _body(known: Architecture) -> tuple[Any, ...]:
    return (known.widths, known.layer1_blocks, known.layer1_planes, known.modules, {known.blocks}, known.block)


def _slashes(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)

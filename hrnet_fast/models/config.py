"""What an HRNet is, as data: one line an architecture, one frozen config a model."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypedDict

FUSIONS = ("sum", "product")
FUSE_PLACES = ("everywhere", "across_stages", "final")
DOWNSAMPLES = ("strided", "bilinear")
STREAMS = ("gradual", "all")
UPSAMPLES = ("nearest", "bilinear")
HEADS = (
    "pose",
    "pose_v1h",
    "pose_higher",
    "segmentation",
    "ocr",
    "landmark",
    "classification",
    "classification_ci",
    "classification_cii",
    "detection",
    "faster_rcnn",
    "features",
)


@dataclass(frozen=True)
class Architecture:
    """The main body: paper section 3.1 and the official `experiments/*.yaml`.

    widths: channels of the four branches (after a block's expansion); modules: number of HighResolutionModules in
    stages 2, 3, 4; blocks: residual blocks a branch in each of them; block: "basic" or "bottleneck" branches.
    """

    name: str
    widths: tuple[int, int, int, int]
    layer1_blocks: int = 4
    layer1_planes: int = 64
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    block: str = "basic"

    @property
    def width(self) -> int:
        return self.widths[0]


def standard(width: int, block: str = "basic") -> Architecture:
    """HRNet-W`width`: branches of C, 2C, 4C and 8C channels."""
    return Architecture(f"hrnet_w{width}", (width, 2 * width, 4 * width, 8 * width), block=block)


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        standard(18),
        standard(30),
        standard(32),
        standard(40),
        standard(44),
        standard(48),
        standard(64),
        Architecture("hrnet_w18_small", (16, 32, 64, 128), 1, 32, (1, 1, 1), 2),
        Architecture("hrnet_w18_small_v2", (18, 36, 72, 144), 2, 64, (1, 3, 2), 2),
    )
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class HRNetConfig:
    """Everything that fixes a model; two models of equal configs have equal keys, shapes and numbers.

    upsample, align_corners: how fuse layers and the V2 head enlarge maps. Nearest works by fixed factors, so height
        and width must be multiples of 32; bilinear works by size. Kept per model: the official segmentation code keeps
        `ALIGN_CORNERS` in a module global, which a second model overwrites.
    num_outputs: keypoints, landmarks or classes; "features" and "detection" have none.
    final_kernel: kernel of the last convolution (official `FINAL_CONV_KERNEL`) of poses, landmarks, segmentation and
        OCR's auxiliary logits; other heads have none.
    heatmap_map: the map that pose heatmaps come from: 1, 2 or 4 times coarser than the finest one (paper figure 9);
        of "pose" alone.
    fusion, fuse_where, downsample, streams: the ablations of paper section 7.
    """

    name: str
    architecture: Architecture
    head: str
    num_outputs: int = 0
    input_size: tuple[int, int] = (224, 224)  # height, width
    upsample: str = "nearest"
    align_corners: bool = False
    bn_momentum: float = 0.1
    final_kernel: int = 1
    heatmap_map: int = 1
    fusion: str = "sum"
    fuse_where: str = "everywhere"
    downsample: str = "strided"
    streams: str = "gradual"

    def __post_init__(self) -> None:
        for field, allowed in (
            ("head", HEADS),
            ("upsample", UPSAMPLES),
            ("fusion", FUSIONS),
            ("fuse_where", FUSE_PLACES),
            ("downsample", DOWNSAMPLES),
            ("streams", STREAMS),
            ("align_corners", (False, True)),
            ("heatmap_map", (1, 2, 4)),
            ("final_kernel", (1, 3)),
        ):
            value = getattr(self, field)
            if type(value) is not type(allowed[0]) or value not in allowed:
                raise ValueError(f"{field}={value!r} is not known; choose one of {', '.join(map(repr, allowed))}")
        size = self.input_size
        if not (isinstance(size, (tuple, list)) and len(size) == 2 and all(map(_is_whole, size)) and min(size) > 0):
            raise ValueError(f"input_size={size!r} is not the (height, width) of an image in pixels")
        if not _is_whole(self.num_outputs):
            raise ValueError(f"num_outputs={self.num_outputs!r} is not a whole number")
        # A list could be neither compared nor hashed, and JSON has no numbers of NumPy's
        object.__setattr__(self, "input_size", tuple(map(int, size)))
        object.__setattr__(self, "num_outputs", int(self.num_outputs))
        if self.head not in ("features", "detection") and self.num_outputs < 1:
            raise ValueError(f"head={self.head!r} needs num_outputs of at least 1, not {self.num_outputs}")
        if not isinstance(self.architecture, Architecture):
            raise ValueError(f"architecture={self.architecture!r} is not an Architecture")
        if not isinstance(self.bn_momentum, Real) or isinstance(self.bn_momentum, bool):
            raise ValueError(f"bn_momentum={self.bn_momentum!r} is not a number")
        object.__setattr__(self, "bn_momentum", float(self.bn_momentum))

    @property
    def width(self) -> int:
        return self.architecture.width

    @property
    def size_multiple(self) -> int:
        """Height and width must be multiples of this: 32 where maps are enlarged by fixed factors, else 1."""
        return 32 if self.upsample == "nearest" else 1


class Options(TypedDict, total=False):
    """The fields of `HRNetConfig` that `create_model` takes by name."""

    head: str
    num_outputs: int
    input_size: tuple[int, int]
    upsample: str
    align_corners: bool
    bn_momentum: float
    final_kernel: int
    heatmap_map: int
    fusion: str
    fuse_where: str
    downsample: str
    streams: str

"""The repeated unit of an HRNet: parallel branches, then multi-resolution fusion (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from .blocks import Block, conv1x1, conv3x3, conv3x3_bn_relu, module_list, residual_layer
from .resize import resize

fx.wrap("resize")  # to torch.fx, as in backbone.py


class HighResolutionModule(nn.Module):
    """Branches of residual blocks, then every output as the fused sum of all branches.

    The positional arguments are those of the official class (`lib/models/pose_hrnet.py`), so it drops into an official
    or forked model file by changing one import: this class for pose, classification and detection, which up-sample by
    nearest; `BilinearHighResolutionModule` for segmentation and landmarks. The keyword arguments say what differs.

    forward: a list of maps (N, C_b, H / 2^b, W / 2^b), one a branch; returns the fused maps, or only the first one in
    a list where `multi_scale_output` is false. The caller's list is not changed.
    """

    fuse_layers: Any  # ModuleLists in a ModuleList, which torch's types do not tell; None without fusion

    def __init__(
        self,
        num_branches: int,
        blocks: Block,
        num_blocks: Sequence[int],
        num_inchannels: Sequence[int],
        num_channels: Sequence[int],
        fuse_method: str = "SUM",
        multi_scale_output: bool = True,
        *,
        upsample: str = "nearest",
        align_corners: bool = False,
        downsample: str = "strided",
        fuse: bool = True,
    ):
        super().__init__()
        for name, given in (
            ("num_blocks", num_blocks), ("num_inchannels", num_inchannels), ("num_channels", num_channels)
        ):  # fmt: skip
            if len(given) != num_branches:
                raise ValueError(f"{name} has {len(given)} entries for {num_branches} branches")
        if fuse_method.upper() not in ("SUM", "PRODUCT"):
            raise ValueError(f"fuse_method={fuse_method!r} is not known; choose 'SUM' or 'PRODUCT'")
        self.num_branches = num_branches
        self.num_inchannels = [planes * blocks.expansion for planes in num_channels]
        self.fuse_method = fuse_method
        self.multi_scale_output = multi_scale_output
        self.upsample, self.align_corners, self.downsample = upsample, align_corners, downsample
        self.branches = nn.ModuleList(
            residual_layer(blocks, inplanes, planes, count)
            for inplanes, planes, count in zip(num_inchannels, num_channels, num_blocks)
        )
        self.fuse_layers = self._make_fuse_layers() if fuse and num_branches > 1 else None
        self.relu = nn.ReLU(inplace=True)

    def get_num_inchannels(self) -> list[int]:
        """Channels of each branch's output."""
        return self.num_inchannels

    def _make_fuse_layers(self) -> nn.ModuleList:
        outputs = self.num_branches if self.multi_scale_output else 1
        return nn.ModuleList(
            module_list([self._exchange(j, i) if j != i else None for j in range(self.num_branches)])
            for i in range(outputs)
        )

    def _exchange(self, source: int, target: int) -> nn.Sequential:
        """From branch `source` to branch `target`; enlarging and shrinking by interpolation happen in `forward`."""
        c_source, c_target = self.num_inchannels[source], self.num_inchannels[target]
        if source > target or self.downsample == "bilinear":
            return nn.Sequential(conv1x1(c_source, c_target), nn.BatchNorm2d(c_target))
        steps = [conv3x3_bn_relu(c_source, c_source, 2) for _ in range(target - source - 1)]
        return nn.Sequential(*steps, nn.Sequential(conv3x3(c_source, c_target, 2), nn.BatchNorm2d(c_target)))

    def _term(self, x: list[Tensor], source: int, target: int) -> Tensor:
        if source == target:
            return x[source]
        y = self.fuse_layers[target][source](x[source])
        if source < target and self.downsample == "strided":
            return y
        mode = self.upsample if source > target else "bilinear"
        return resize(y, x[target].shape[-2:], mode, self.align_corners)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        if len(x) != self.num_branches:
            raise ValueError(f"this module has {self.num_branches} branches, but {len(x)} maps were given")
        x = [branch(x_b) for branch, x_b in zip(self.branches, x)]
        if self.fuse_layers is None:
            return x
        product = self.fuse_method.upper() == "PRODUCT"
        fused = []
        for target in range(len(self.fuse_layers)):
            y = self._term(x, 0, target)
            for source in range(1, self.num_branches):
                term = self._term(x, source, target)
                y = y * term if product else y + term
            fused.append(self.relu(y))
        return fused


class BilinearHighResolutionModule(HighResolutionModule):
    """The module of the segmentation and landmark repositories, which up-sample bilinearly and by size.

    align_corners: their config's ALIGN_CORNERS, kept by each module instead of a global of the file.
    """

    def __init__(self, *args: Any, align_corners: bool = False, **kwargs: Any):
        super().__init__(*args, upsample="bilinear", align_corners=align_corners, **kwargs)

"""The main body of every HRNet: stem, first stage, transitions and multi-resolution stages (paper section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, fx, nn

from .blocks import BLOCKS, Bottleneck, conv3x3, conv3x3_bn_relu, module_list, residual_layer
from .config import HRNetConfig
from .module import HighResolutionModule
from .resize import check_input

fx.wrap("check_input")  # torch.fx records the call, whose branches are by size


def transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """Layers that bring the maps of one stage to the widths of the next and open new, coarser branches.

    Entries that keep a map as it is are None; a new branch is a chain of strided convolutions on the coarsest map.
    """
    layers: list[nn.Module | None] = []
    for i, channels in enumerate(after):
        if i < len(before):
            layers.append(None if before[i] == channels else conv3x3_bn_relu(before[i], channels, 1))
        else:
            steps = i + 1 - len(before)
            widths = [before[-1]] * steps + [channels]
            layers.append(nn.Sequential(*(conv3x3_bn_relu(a, b, 2) for a, b in zip(widths, widths[1:]))))
    return module_list(layers)


class HighResolutionNet(nn.Module):
    """Image batch (N, 3, H, W) -> the four maps (N, C_b, H / 4 / 2^b, W / 4 / 2^b).

    Keys are the official ones: `conv1, bn1, conv2, bn2, layer1, transition{1,2,3}, stage{2,3,4}`. The task models add
    their heads to it. Plain and trainable; in training mode batch statistics are used, as in any torch module.
    """

    def __init__(self, config: HRNetConfig):
        super().__init__()
        self.config = config
        body = config.architecture
        self.conv1 = conv3x3(3, 64, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = conv3x3(64, 64, 2)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = residual_layer(Bottleneck, 64, body.layer1_planes, body.layer1_blocks)

        widths = [body.layer1_planes * Bottleneck.expansion]
        for stage in (2, 3, 4):
            branches = 4 if config.streams == "all" else stage
            after = list(body.widths[:branches])
            setattr(self, f"transition{stage - 1}", transition(widths, after))
            setattr(self, f"stage{stage}", self._stage(stage, branches))
            widths = after
        self.out_channels = widths

    def _stage(self, stage: int, branches: int) -> nn.Sequential:
        config, body = self.config, self.config.architecture
        block = BLOCKS[body.block]
        widths = list(body.widths[:branches])
        count = body.modules[stage - 2]
        return nn.Sequential(
            *(
                HighResolutionModule(
                    branches,
                    block,
                    [body.blocks] * branches,
                    widths,
                    [width // block.expansion for width in widths],
                    config.fusion,
                    not (stage == 4 and index == count - 1 and self.single_output),
                    upsample=config.upsample,
                    align_corners=config.align_corners,
                    downsample=config.downsample,
                    fuse=config.fuse_where == "everywhere"
                    or (index == count - 1 and (stage == 4 or config.fuse_where == "across_stages")),
                )
                for index in range(count)
            )
        )

    @property
    def single_output(self) -> bool:
        """Whether the last module fuses only its finest map (pose: the coarser ones have no reader)."""
        return False

    def init_weights(self) -> None:
        """He initialisation (fan-out) of convolutions; norms start as the identity."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = self.config.bn_momentum

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """x (N, 3, H, W) -> the maps of the last stage, finest first."""
        check_input(x, self.config.size_multiple)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        maps = [self.layer1(x)]
        for stage in (2, 3, 4):
            layers = getattr(self, f"transition{stage - 1}")
            before = maps + [maps[-1]] * (len(layers) - len(maps))
            maps = [x_b if layer is None else layer(x_b) for layer, x_b in zip(layers, before)]
            maps = getattr(self, f"stage{stage}")(maps)
        return maps

    def forward(self, x: Tensor) -> Tensor | Sequence[Tensor]:
        return self.forward_features(x)

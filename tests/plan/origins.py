"""A HighResolutionModule in the manners of other code bases, to be planned as it stands.

Written from their descriptions: the official pose code writes into the caller's list and up-samples inside
`fuse_layers`; the official segmentation code up-samples by size in `forward`; OpenMMLab begins its sums with `y = 0`
and adds in place.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn


def conv_bn(c_in, c_out, kernel, stride=1, relu=False):
    layers = [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(c_out)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += residual
        return self.relu(out)


class ForeignModule(nn.Module):
    """manner: "pose", "segmentation" or "openmmlab"."""

    def __init__(self, widths, manner):
        super().__init__()
        self.manner = manner
        self.branches = nn.ModuleList(nn.Sequential(Block(c), Block(c)) for c in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._exchange(widths, j, i) for j in range(len(widths))) for i in range(len(widths))
        )
        self.relu = nn.ReLU(inplace=False)

    def _exchange(self, widths, j, i):
        if i == j:
            return None
        if j > i:
            up = conv_bn(widths[j], widths[i], 1)
            if self.manner != "segmentation":
                up.append(nn.Upsample(scale_factor=2 ** (j - i), mode="nearest"))
            return up
        middle = [conv_bn(widths[j], widths[j], 3, 2, relu=True) for _ in range(i - j - 1)]
        return nn.Sequential(*middle, conv_bn(widths[j], widths[i], 3, 2))

    def forward(self, x):
        for b, branch in enumerate(self.branches):
            x[b] = branch(x[b])
        return [self.relu(self._sum(x, i)) for i in range(len(x))]

    def _sum(self, x, i):
        if self.manner == "openmmlab":
            y = 0
            for j in range(len(x)):
                y += x[j] if i == j else self.fuse_layers[i][j](x[j])
            return y
        y = x[0] if i == 0 else self.fuse_layers[i][0](x[0])
        for j in range(1, len(x)):
            term = x[j] if i == j else self.fuse_layers[i][j](x[j])
            if j > i and self.manner == "segmentation":
                term = F.interpolate(term, size=[x[i].shape[-2], x[i].shape[-1]], mode="bilinear", align_corners=True)
            y = y + term
        return y

"""A head of convolutions that sample where the map says, as DEKR's: slices, writes into slices, torchvision's op."""

import pytest
import torch
from torch import nn
from torchvision.ops import DeformConv2d

from hrnet_fast import explain, optimize, verify
from hrnet_fast.engine.executors import native
from hrnet_fast.weights.random import fill_weights

EXECUTORS = ["onednn", "reference"] + ([] if native.unsupported() else ["native"])


class Adaptive(nn.Module):
    """A 3x3 convolution whose nine taps a matrix turns and scales and a vector moves, at every pixel."""

    def __init__(self, channels: int):
        super().__init__()
        rows, columns = torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij")
        self.register_buffer("taps", torch.stack([rows.flatten(), columns.flatten()]))
        self.turn, self.move = nn.Conv2d(channels, 4, 3, padding=1), nn.Conv2d(channels, 2, 3, padding=1)
        self.sample = DeformConv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        n, _, h, w = x.shape
        matrices = self.turn(x).permute(0, 2, 3, 1).reshape(n * h * w, 2, 2)
        offsets = (torch.matmul(matrices, self.taps) - self.taps).transpose(1, 2)
        offsets = offsets.reshape(n, h, w, 18).permute(0, 3, 1, 2)
        move = self.move(x)
        offsets[:, 0::2] += move[:, 0:1]
        offsets[:, 1::2] += move[:, 1:2]
        return torch.relu_(self.norm(self.sample(x, offsets)) + x)


class Keypoints(nn.Module):
    """A slice of the features and a head of its own for each keypoint."""

    def __init__(self, count: int = 3, channels: int = 5):
        super().__init__()
        self.channels = channels
        self.features = nn.Conv2d(3, count * channels, 3, 2, 1)
        self.heads = nn.ModuleList(nn.Sequential(Adaptive(channels), nn.Conv2d(channels, 2, 1)) for _ in range(count))

    def forward(self, x):
        y, c = self.features(x), self.channels
        return torch.cat([head(y[:, i * c : (i + 1) * c]) for i, head in enumerate(self.heads)], dim=1)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_head_of_adaptive_convolutions(executor, batch):
    net, taps = Keypoints(), Adaptive(1).taps
    fill_weights(net)
    for head in net.heads:
        head[0].taps.copy_(taps)
    x = torch.randn(batch, 3, 14, 18)
    fast = optimize(net, executor=executor, example=x)
    report = verify(net, fast, x)
    assert report.passed, str(report)
    assert "deform_conv2d" in str(explain(fast, x))

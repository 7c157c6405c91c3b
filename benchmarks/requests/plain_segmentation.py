"""A segmentation request in plain torch, OpenCV and NumPy, as the official test runs it (lib/core/function.py)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.requests.plain_pose import MEAN, STD, PlainPose
from hrnet_fast.tasks.stages import Stages


class PlainSegmentation:
    """model: the plain network, in eval mode, with `config.align_corners`. long_side: of its input."""

    def __init__(self, model: nn.Module, long_side: int) -> None:
        self.model = model.to(memory_format=torch.channels_last)
        self.long_side = long_side

    def __call__(self, data: bytes, stages: Stages) -> Tensor:  # (H, W) uint8
        with stages("read"):
            image = PlainPose.read(data)
        with stages("prepare"):
            x = self.prepare(image)
        with stages("network"):
            logits = self.logits(x)
        with stages("labels"):
            return self.labels(logits, image.shape[:2])

    def prepare(self, image: np.ndarray) -> Tensor:  # (1, 3, h, w) float32
        """lib/datasets/base_dataset.py: input_transform, then the resize of multi_scale_aug."""
        x = (image.astype(np.float32) / 255.0 - MEAN) / STD
        height, width = image.shape[:2]
        size = (self.long_side, int(height * self.long_side / width + 0.5))
        if width < height:
            size = (int(width * self.long_side / height + 0.5), self.long_side)
        if size != (width, height):
            x = cv2.resize(x, size, interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(x.transpose(2, 0, 1)[None].copy())

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        outputs = self.model(x.contiguous(memory_format=torch.channels_last))
        return outputs if isinstance(outputs, Tensor) else outputs[-1]

    def labels(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        full = F.interpolate(logits, size, mode="bilinear", align_corners=self.model.config.align_corners)
        return full.argmax(1)[0].to(torch.uint8)

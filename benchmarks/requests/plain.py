"""Requests in plain torch, OpenCV and NumPy, as the official repositories run them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import ops

from hrnet_fast.tasks.stages import Stages

MEAN = np.float32((0.485, 0.456, 0.406))
STD = np.float32((0.229, 0.224, 0.225))
# lib/dataset/coco.py: the keypoints that change places in a mirror
FLIP_PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))


class PlainPose:
    """As the official pose repository runs (tools/test.py).

    model: the plain network, in eval mode. size: (height, width) of its input.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        self.model = model.to(memory_format=torch.channels_last)
        self.height, self.width = size

    def __call__(self, data: bytes, boxes: np.ndarray, stages: Stages) -> np.ndarray:  # (N, K, 3)
        with stages("read"):
            image = self.read(data)
        with stages("crop"):
            regions = [self.region(box) for box in boxes]
            crops = torch.stack([self.crop(image, *region) for region in regions])
        with stages("network"):
            heatmaps, flipped = self.heatmaps(crops)
        with stages("decode"):
            return self.decode(heatmaps, flipped, regions)

    @staticmethod
    def read(data: bytes) -> np.ndarray:  # (H, W, 3) uint8 RGB
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def region(self, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centre and scale of a box (lib/dataset/coco.py, _xywh2cs)."""
        x, y, wide, tall = box
        aspect = self.width / self.height
        centre = np.array([x + wide * 0.5, y + tall * 0.5])
        if wide > aspect * tall:
            tall = wide / aspect
        elif wide < aspect * tall:
            wide = tall * aspect
        return centre, np.array([wide, tall]) / 200 * 1.25

    def crop(self, image: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> Tensor:  # (3, h, w) float32
        matrix = _affine(centre, scale, (self.width, self.height))
        piece = cv2.warpAffine(image, matrix, (self.width, self.height), flags=cv2.INTER_LINEAR)
        tensor = torch.from_numpy(piece).permute(2, 0, 1).contiguous().float().div(255)
        return (tensor - torch.from_numpy(MEAN)[:, None, None]) / torch.from_numpy(STD)[:, None, None]

    @torch.no_grad()
    def heatmaps(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Of the crops and of their mirror images, (N, K, h, w) each (lib/core/function.py)."""
        heatmaps = self.model(crops.contiguous(memory_format=torch.channels_last))
        flipped = self.model(crops.flip(3).contiguous(memory_format=torch.channels_last))
        return heatmaps.contiguous(), flipped.contiguous()

    def decode(self, heatmaps: Tensor, flipped: Tensor, regions: list[tuple]) -> np.ndarray:  # (N, K, 3)
        """The steps of lib/core/function.py and lib/core/inference.py, with their copies and loops; it changes
        `flipped`, as there."""
        back = torch.from_numpy(self.flip_back(flipped.numpy()).copy())
        back[:, :, :, 1:] = back.clone()[:, :, :, :-1]
        maps = ((heatmaps + back) * 0.5).clone().numpy()
        points, scores = self.peaks(maps)
        height, width = maps.shape[2:]
        for n, k in np.ndindex(*points.shape[:2]):
            x, y = math.floor(points[n][k][0] + 0.5), math.floor(points[n][k][1] + 0.5)
            if 1 < x < width - 1 and 1 < y < height - 1:
                one = maps[n][k]
                step = np.array([one[y][x + 1] - one[y][x - 1], one[y + 1][x] - one[y - 1][x]])
                points[n][k] += np.sign(step) * 0.25
        for n, (centre, scale) in enumerate(regions):
            matrix = _affine(centre, scale, (width, height), inverse=True)
            for k in range(points.shape[1]):
                points[n, k] = np.dot(matrix, np.array([*points[n, k], 1.0]))
        return np.concatenate([points, scores], 2)

    @staticmethod
    def flip_back(flipped: np.ndarray) -> np.ndarray:
        """A mirrored view whose sides have changed places, in `flipped` itself."""
        view = flipped[:, :, :, ::-1]
        for left, right in FLIP_PAIRS:
            kept = view[:, left].copy()
            view[:, left] = view[:, right]
            view[:, right] = kept
        return view

    @staticmethod
    def peaks(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # (N, K, 2) and (N, K, 1) float32
        flat = maps.reshape(*maps.shape[:2], -1)
        index, scores = flat.argmax(2)[..., None], flat.max(2)[..., None]
        width = maps.shape[3]
        points = np.concatenate([index % width, index // width], 2).astype(np.float32)
        return points * (scores > 0), scores


class PlainSegmentation:
    """As the official test of segmentation runs (lib/core/function.py).

    model: the plain network, in eval mode, with `config.align_corners`. long_side: of its input.
    """

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


class PlainDetection:
    """As mmdetection tests its Faster R-CNN (mmdet/models/detectors/two_stage.py), with torchvision's operations.

    model: the plain network, in eval mode. short_side, long_side: as far as a picture is enlarged.
    """

    STRIDES, SIZE = (4, 8, 16, 32, 64), 7

    def __init__(self, model: nn.Module, short_side: int, long_side: int) -> None:
        self.model = model.to(memory_format=torch.channels_last)
        self.short_side, self.long_side = short_side, long_side

    def __call__(self, data: bytes, stages: Stages) -> list[list[float]]:  # N of x1, y1, x2, y2, score, class
        with stages("read"):
            image = PlainPose.read(data)
        with stages("prepare"):
            x, size = self.prepare(image)
        with stages("network"):
            outputs = self.outputs(x)
        with stages("regions"):
            regions = self.propose(outputs, size)
            features = self.features(outputs, regions)
        with stages("classify"):
            scale = torch.tensor([size[1] / image.shape[1], size[0] / image.shape[0]] * 2)
            boxes, scores, labels = self.classify(*self.answers(features), regions, size, scale)
            return torch.cat((boxes, scores[:, None], labels[:, None]), 1).tolist()

    def prepare(self, image: np.ndarray) -> tuple[Tensor, tuple[int, int]]:
        """(1, 3, h, w) float32, and the picture's height and width in it."""
        height, width = image.shape[:2]
        scale = min(self.long_side / max(height, width), self.short_side / min(height, width))
        size = int(height * scale + 0.5), int(width * scale + 0.5)
        pixels = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
        cv2.subtract(pixels, np.float64([*(255 * MEAN), 0]), pixels)
        cv2.multiply(pixels, 1 / np.float64([*(255 * STD), 1]), pixels)
        x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
        return F.pad(x, (0, -size[1] % 32, 0, -size[0] % 32)), size

    @torch.no_grad()
    def outputs(self, x: Tensor) -> list[Tensor]:
        return list(self.model(x.contiguous(memory_format=torch.channels_last)))

    def propose(self, outputs: list[Tensor], size: tuple[int, int]) -> Tensor:  # (R, 4)
        boxes, scores, levels = [], [], []
        for level, (logits, deltas) in enumerate(zip(outputs[4:9], outputs[9:], strict=True)):
            likely = logits[0].permute(1, 2, 0).reshape(-1).sigmoid()
            likely, order = likely.sort(descending=True)
            chosen = order[:1000]
            moves = deltas[0].permute(1, 2, 0).reshape(-1, 4)[chosen]
            places = self.anchors(logits.shape[2], logits.shape[3], self.STRIDES[level])[chosen]
            boxes.append(self.moved(places, moves, size))
            scores.append(likely[:1000])
            levels.append(torch.full((len(chosen),), level))
        box, score, level = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
        wide = ((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])).nonzero()[:, 0]
        box, score, level = box[wide], score[wide], level[wide]
        return box[ops.batched_nms(box, score, level, 0.7)[:1000]]

    @staticmethod
    def anchors(height: int, width: int, stride: int) -> Tensor:  # (height * width * 3, 4)
        ratios = torch.tensor([0.5, 1.0, 2.0])
        wide, tall = 8 * stride / ratios.sqrt(), 8 * stride * ratios.sqrt()
        base = torch.stack([-wide / 2, -tall / 2, wide / 2, tall / 2], 1)
        y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
        shifts = torch.stack([x, y, x, y], 2).reshape(-1, 1, 4)
        return (shifts + base).reshape(-1, 4)

    @staticmethod
    def moved(boxes: Tensor, deltas: Tensor, size: tuple[int, int]) -> Tensor:  # (N, 4)
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        wide, tall = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        most = abs(math.log(16 / 1000))
        x, y = x + wide * deltas[:, 0], y + tall * deltas[:, 1]
        wide, tall = (side * delta.clamp(-most, most).exp() for side, delta in zip((wide, tall), deltas[:, 2:].T))
        corners = [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2]
        return torch.stack([corner.clamp(0, size[1 - axis % 2]) for axis, corner in enumerate(corners)], 1)

    def features(self, outputs: list[Tensor], regions: Tensor) -> Tensor:  # (R, C, 7, 7)
        scale = ((regions[:, 2] - regions[:, 0]) * (regions[:, 3] - regions[:, 1])).sqrt()
        levels = torch.floor(torch.log2(scale / 56 + 1e-6)).clamp(0, 3)
        features = torch.zeros(len(regions), outputs[0].shape[1], self.SIZE, self.SIZE)
        for level, stride in enumerate(self.STRIDES[:4]):
            mine = (levels == level).nonzero()[:, 0]
            part = [regions[mine]]
            features[mine] = ops.roi_align(outputs[level], part, self.SIZE, 1 / stride, sampling_ratio=0, aligned=True)
        return features

    @torch.no_grad()
    def answers(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.bbox_head(features)

    def classify(
        self, logits: Tensor, deltas: Tensor, regions: Tensor, size: tuple[int, int], scale: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        scores = logits.softmax(1)[:, :-1]
        moves = deltas.reshape(-1, 4) * torch.tensor([0.1, 0.1, 0.2, 0.2])
        boxes = self.moved(regions.repeat_interleave(scores.shape[1], 0), moves, size) / scale
        likely = (scores.reshape(-1) > 0.05).nonzero()[:, 0]
        boxes, score = boxes[likely], scores.reshape(-1)[likely]
        label = torch.arange(scores.shape[1]).repeat(len(scores))[likely]
        kept = ops.batched_nms(boxes, score, label, 0.5)[:100]
        return boxes[kept], score[kept], label[kept]


def _affine(centre: np.ndarray, scale: np.ndarray, size: tuple[int, int], inverse: bool = False) -> np.ndarray:
    """lib/utils/transforms.py at rotation 0: three points, solved by OpenCV."""
    middle = np.array(size) / 2
    up, half = scale[0] * 200 * -0.5, size[0] * -0.5
    source = np.float32([centre, centre + (0, up), centre + (up, up)])
    target = np.float32([middle, middle + (0, half), middle + (half, half)])
    return cv2.getAffineTransform(target, source) if inverse else cv2.getAffineTransform(source, target)

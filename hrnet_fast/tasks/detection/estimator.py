"""Detector: pictures in, objects out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn

from ..classification.names import Names, read_class_names
from ..images import Source, pictures_of, read_image
from ..network import listed, open_network
from ..stages import Stages, clock
from .boxes import STRIDES
from .classes import names_for
from .regions import ROI_LEVELS, Boxes, classify, cut_out, propose
from .results import Detection
from .transforms import fit

# mmdetection's configs/_base_/models/faster-rcnn_r50_fpn.py, test_cfg.rcnn; configs/_base_/datasets/coco_detection.py
THRESHOLD: float = 0.05
IOU_THRESHOLD: float = 0.5
MOST: int = 100
SHORT_SIDE: int = 800
LONG_SIDE: int = 1333


class Detector:
    """Finds objects by Faster R-CNN on HRNetV2p, as mmdetection tests it.

        Detector("hrnet_w32.faster_rcnn_coco", weights="faster_rcnn_hrnetv2p_w32_2x_coco.pth")("street.jpg")

    model, weights, dtype, device, executor: as in `open_network`. The regions are classified in the weights' own dtype.
    names: what the classes are called: a list, or a file with one a line; None for COCO's, if there are 80.
    short_side, long_side: a picture is scaled until one of its sides is as long as its limit.
    threshold: boxes with lower scores are left out. iou_threshold: of two boxes of a class that overlap by more, the
        likelier one stays. most: so many boxes a picture.
    Errors: ValueError for names that are not as many as the classes and for numbers that cannot be; RuntimeError if
        torchvision is missing; those of `open_network`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | nn.Module,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        executor: str = "auto",
        names: Names | None = None,
        short_side: int = SHORT_SIDE,
        long_side: int = LONG_SIDE,
        threshold: float = THRESHOLD,
        iou_threshold: float = IOU_THRESHOLD,
        most: int = MOST,
    ) -> None:
        for name, value in (("short_side", short_side), ("long_side", long_side), ("most", most)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1")
        for name, share in (("threshold", threshold), ("iou_threshold", iou_threshold)):
            if not isinstance(share, Real) or not 0 <= share <= 1:
                raise ValueError(f"{name} is {share!r}; it must be a number from 0 to 1")
        self.network = open_network(model, weights, task="detection", dtype=dtype, device=device, executor=executor)
        self.names = _names(names, self.network.num_outputs, self.network.name)
        self.short_side, self.long_side = short_side, long_side
        self.threshold, self.iou_threshold, self.most = threshold, iou_threshold, most

    def __call__(self, image: Source, *, stages: Stages | None = None) -> list[Detection]:
        """The objects of one picture, the likeliest first.

        image: whatever `read_image` takes. Errors: those of `read_image`, and ImageError for a picture with one side
        over 100 times as long as the other.
        """
        with clock(stages)("read"):
            picture = read_image(image)
        found = self.find(picture, stages=stages)
        with clock(stages)("classify"):
            low, high = found.corners.double().split(2, dim=1)
            rows = torch.cat((low, high - low), 1).tolist()
            chosen = zip(rows, found.scores.tolist(), found.classes.tolist())
            return [Detection(tuple(box), score, index, self.names[index]) for box, score, index in chosen]

    def batch(self, images: Iterable[Source], *, stages: Stages | None = None) -> list[list[Detection]]:
        """The same for many pictures, of any sizes, one after another: one fills the machine."""
        return [self(image, stages=stages) for image in pictures_of(images)]

    def boxes_of(self, label: str, threshold: float = 0.5) -> Callable[[Tensor], Tensor]:
        """What finds one class: a function from a picture (H, W, 3) uint8 to (N, 5) float64 x, y, width, height, score.

        `PoseEstimator(..., detector=detector.boxes_of("person"))` takes it. Boxes with lower scores than `threshold`
        are left out. Errors: ValueError for a class that there is not.
        """
        if label not in self.names:
            raise ValueError(f"there is no class {label!r}: the classes are {', '.join(self.names[:5])} ...")
        index = self.names.index(label)

        def boxes(picture: Tensor) -> Tensor:
            found = self.find(picture)
            chosen = (found.classes == index) & (found.scores >= threshold)
            low, high = found.corners[chosen].double().split(2, dim=1)
            return torch.cat((low, high - low, found.scores[chosen, None].double()), 1)

        return boxes

    @torch.no_grad()
    def find(self, picture: Tensor, *, stages: Stages | None = None) -> Boxes:
        """The boxes of a picture (H, W, 3) uint8, as `read_image` gives it, on the CPU."""
        stage, network = clock(stages), self.network
        with stage("prepare"):
            x, size = fit(picture.to(network.device), self.short_side, self.long_side)
        with stage("network"):
            outputs = listed(network(x))
        maps, others = outputs[:ROI_LEVELS], [output[0] for output in outputs[ROI_LEVELS:]]
        with stage("regions"):
            regions = propose(others[: len(STRIDES)], others[len(STRIDES) :], size)
            features = cut_out(maps, regions)
        with stage("classify"):
            logits, deltas = self._answers(features)
            scale = (size[1] / picture.shape[1], size[0] / picture.shape[0])
            found = classify(
                logits, deltas, regions, size, scale,
                threshold=self.threshold, iou_threshold=self.iou_threshold, most=self.most,
            )  # fmt: skip
            return Boxes(found.corners.cpu(), found.scores.cpu(), found.classes.cpu())

    def _answers(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The box head's logits (R, classes + 1) and deltas (R, 4 classes), float32. RuntimeError if not finite."""
        head = self.network.box_head
        logits, deltas = (each.float() for each in head(features.to(head.fc_cls.weight.dtype)))
        if not (logits.isfinite().all() and deltas.isfinite().all()):
            raise RuntimeError(f"{self.network.name} gave NaN or infinite values: check the weights of its box head")
        return logits, deltas


def _names(given: Names | None, classes: int, network: str) -> tuple[str, ...]:
    if given is None:
        return names_for(classes)
    names = tuple(each.name or each.wnid or f"class {index}" for index, each in enumerate(read_class_names(given)))
    if len(names) != classes:
        raise ValueError(f"there are {len(names)} class names, but {network} has {classes} classes")
    return names

"""Classifier: pictures in, the likeliest classes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from ..evaluation import batches
from ..images import Source, pictures_of, read_image
from ..network import listed, open_network
from ..pixels import normalise
from ..stages import Stages, clock
from .names import Names, read_class_names
from .results import Classification
from .transforms import resize_crop


class Classifier:
    """Says what a picture shows, by the ImageNet protocol (tools/valid.py of HRNet-Image-Classification).

        Classifier("hrnet_w18.cls_in1k", weights="hrnetv2_w18_imagenet_pretrained.pth")("dog.jpg")[0].label

    model, weights, dtype, device, executor: as in `open_network`.
    names: the names of the classes: a file (one a line, or JSON), a list or a dict, as `read_class_names` takes them.
    batch_size: pictures per network call; it bounds the memory.
    Errors: ValueError if there are not as many names as classes; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        executor: str = "auto",
        names: Names | None = None,
        batch_size: int = 16,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.batch_size = batch_size
        self.network = open_network(
            model, weights, task="classification", dtype=dtype, device=device, executor=executor
        )
        self.names = None if names is None else read_class_names(names)
        if self.names is not None and len(self.names) != self.network.num_outputs:
            raise ValueError(
                f"there are {len(self.names)} class names, but {self.network.name} has {self.network.num_outputs} "
                "classes"
            )

    def __call__(self, image: Source, top: int = 5, *, stages: Stages | None = None) -> list[Classification]:
        """The `top` likeliest classes of one picture (all of them if there are fewer), the likeliest first.

        image: whatever `read_image` takes. Errors: those of `read_image`.
        """
        return self.batch([image], top, stages=stages)[0]

    def batch(
        self, images: Iterable[Source], top: int = 5, *, stages: Stages | None = None
    ) -> list[list[Classification]]:
        """The same for many pictures, of any sizes; the network takes `batch_size` of them at once."""
        if not isinstance(top, Integral) or top < 1:
            raise ValueError(f"top={top!r} is no number of classes: it must be a whole number of at least 1")
        probabilities = self.probabilities(images, stages=stages)
        with clock(stages)("decode"):
            values, indices = probabilities.topk(min(top, probabilities.shape[1]), dim=1)
            rows = zip(values.tolist(), indices.tolist())
            return [[self._classification(index, value) for value, index in zip(*row)] for row in rows]

    def probabilities(
        self, images: Iterable[Source], *, stages: Stages | None = None
    ) -> Tensor:  # (N, classes) float32, on the network's device
        """Softmax over all classes."""
        network = self.network
        parts = [self._part(part, stages) for part in batches(pictures_of(images), self.batch_size)]
        return torch.cat(parts) if parts else torch.empty(0, network.num_outputs, device=network.device)

    def _part(self, images: list[Source], stages: Stages | None) -> Tensor:  # (N, classes) float32
        stage, network = clock(stages), self.network
        crops = []
        for image in images:
            with stage("read"):
                pixels = read_image(image).to(network.device)
            with stage("crop"):
                crops.append(resize_crop(pixels, network.input_size))
        with stage("crop"):
            batch = normalise(crops)
        with stage("network"):
            (logits,) = listed(network(batch))
        with stage("decode"):
            return logits.float().softmax(dim=1)

    def _classification(self, index: int, probability: float) -> Classification:
        known = self.names[index] if self.names else None
        return Classification(index, probability, known.name if known else None, known.wnid if known else None)

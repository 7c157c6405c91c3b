"""Segmenter: pictures in, the class of every pixel out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...kernels.upsample_argmax import MAX_CLASSES
from ..images import Source, pictures_of, read_image
from ..network import MAX_PIXELS, PIECES, HRNetConfig, Network, listed, model_config, open_network
from ..pixels import resize_planes
from ..stages import Clock, Stages, clock
from .classes import ClassSet, class_set, classes_of, numbered
from .labelling import View, label
from .protocol import NATIVE, protocol_for
from .results import Segmentation
from .transforms import fit, window

COMBINATIONS = ("exp", "logits")


class Segmenter:
    """Says what every pixel of a picture belongs to, by the official test of the model's data set.

        Segmenter("hrnet_w48.seg_cityscapes", weights="hrnet_cs_8090_torch11.pth")("street.png").labels

    model, weights, dtype, device, executor: as in `open_network`. Of an OCR model, the second output is used.
    classes: "cityscapes", "lip", "pascal_context59", "pascal_context60" or a ClassSet; None for the set that has as
        many classes as the network; of a named model with another number of outputs than its own, numbered ones.
    size: "official": pictures are scaled as the official test does, with TEST.IMAGE_SIZE and TEST.BASE_SIZE
        (Cityscapes: long side 2048; LIP: 473 x 473; PASCAL-Context: long side 520); (height, width): the same test at
        that size; "native": every picture in one piece at its own size, padded to multiples of 8. For other class sets
        "official" is the same as "native", and they take no (height, width).
    scales: sizes of the views that are summed; the paper's multi-scale rows have 0.5, 0.75, 1, 1.25, 1.5, 1.75.
        Above 1 (Cityscapes), or where a view exceeds the window, windows slide over it.
    flip_test: average each view with that of the mirrored picture; for LIP, left and right classes are exchanged.
    combine: "exp": logits are averaged over the flip, up-sampled and exponentiated, then averaged over windows and
        summed over scales. The official test does so (it takes logits for log-probabilities), and the paper's numbers
        are from it. "logits": the logits themselves are averaged and summed, which is faster.
    align_corners: of the up-sampling; None for the model's own (foreign modules: True with OCR, as official).

    Only labels are kept at full size: logits stay at a quarter of each view's height and width (classes / 4 bytes per
    pixel of the view: 10 MB for Cityscapes, 138 MB at six scales, whose windows overlap); each thread up-samples and
    sums a few rows of 128 columns at a time (without the compiled ops: one class at a time).
    Errors: ValueError for classes that do not fit the network, for a (height, width) that they do not take and for
        unknown options; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        executor: str = "auto",
        classes: str | ClassSet | None = None,
        size: str | Sequence[int] | np.ndarray | Tensor = "official",
        scales: Sequence[float] | np.ndarray | Tensor = (1.0,),
        flip_test: bool = False,
        combine: str = "exp",
        align_corners: bool | None = None,
    ) -> None:
        wanted, factors = _numbers(size), _numbers(scales)
        if wanted not in ("official", "native") and not _is_size(wanted):
            raise ValueError(f'size {wanted!r} is not known; give "official", "native" or (height, width)')
        if combine not in COMBINATIONS:
            raise ValueError(f"combine {combine!r} is not known; choose one of {', '.join(COMBINATIONS)}")
        if not _are_scales(factors):
            raise ValueError(f"scales {factors!r} must be one or more finite numbers above 0")
        given = None if isinstance(wanted, str) else (wanted[0], wanted[1])
        self.network = open_network(
            model, weights, task="segmentation", dtype=dtype, device=device, executor=executor, input_size=given
        )
        self.classes = _classes(classes, self.network)
        self.protocol = NATIVE if wanted == "native" else protocol_for(self.classes.name, given)
        self.scales, self.flip_test, self.combine = tuple(factors), flip_test, combine
        if align_corners is None:
            config = self.network.config
            align_corners = config.align_corners if config else self._has_two_outputs()
        self.align_corners = align_corners

    def __call__(self, image: Source, *, stages: Stages | None = None) -> Segmentation:
        """The class of every pixel of one picture, at the picture's own size.

        image: whatever `read_image` takes. Errors: those of `read_image`.
        """
        return self.batch([image], stages=stages)[0]

    def batch(self, images: Iterable[Source], *, stages: Stages | None = None) -> list[Segmentation]:
        """The same for many pictures; the network takes neighbours of one size together."""
        stage = clock(stages)
        results: list[Segmentation] = []
        together: list[Tensor] = []
        for image in pictures_of(images):
            with stage("read"):
                pixels = read_image(image).to(self.network.device)
            if together and (pixels.shape != together[0].shape or len(together) == _most_together(pixels)):
                results += self._same_size(together, stage)
                together = []
            together.append(pixels)
        return results + (self._same_size(together, stage) if together else [])

    def _same_size(self, images: list[Tensor], stage: Clock) -> list[Segmentation]:
        target = (images[0].shape[0], images[0].shape[1])
        with stage("prepare"):
            fitted, valid = zip(*(fit(image, self.protocol) for image in images))
            base = torch.cat(fitted) if len(fitted) > 1 else fitted[0]
        views = [self._view(base, scale, stage) for scale in self.scales]
        with stage("labels"):
            labels = label(
                views,
                base=(base.shape[2], base.shape[3]),
                valid=valid[0],
                target=target,
                exp=self.combine == "exp",
                align_corners=self.align_corners,
            )
        return [Segmentation(one, self.classes) for one in labels]

    def _view(self, base: Tensor, scale: float, stage: Clock) -> View:
        with stage("prepare"):
            size = self.protocol.view_size(base.shape[2], base.shape[3], scale)
            pixels = resize_planes(base, size)
        places = self.protocol.windows(*size, scale)
        return View(size, [(place, self._logits(window(pixels, *place), stage)) for place in places])

    def _logits(self, images: Tensor, stage: Clock) -> Tensor:  # (N, C, h, w) at a quarter of the size
        with stage("network"):
            if not self.flip_test:
                return self._last(images)
            logits, mirrored = self._last(torch.cat([images, images.flip(3)])).chunk(2)
        with stage("labels"):
            # at a quarter of the size, since up-sampling is linear and the same from both sides
            mirrored = mirrored.flip(3)
            if self.classes.mirrored:
                mirrored = mirrored[:, list(self.classes.mirror)]
            return (logits + mirrored).mul_(0.5)

    def _has_two_outputs(self) -> bool:
        nothing = torch.empty(0, 3, *self.network.input_size, device=self.network.device)
        return len(listed(self.network(nothing))) == 2

    def _last(self, images: Tensor) -> Tensor:
        """TEST.OUTPUT_INDEX -1: of OCR's two outputs the second."""
        return listed(self.network(images))[-1]


# typeshed's numbers have no order
_WHOLE: Any = Integral
_REAL: Any = Real


def _numbers(value: Any) -> Any:
    """An array or a tensor as a list of numbers; else what it is."""
    return value.tolist() if isinstance(value, (np.ndarray, Tensor)) else value


def _is_size(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(n, _WHOLE) and n > 0 for n in value)


def _are_scales(value: Any) -> bool:
    several = isinstance(value, Sequence) and len(value) > 0
    return several and all(isinstance(scale, _REAL) and 0 < scale < math.inf for scale in value)


def _most_together(image: Tensor) -> int:
    """How many pictures like this one are held at once: what the network takes in one piece."""
    return min(PIECES[0], max(1, MAX_PIXELS // (image.shape[0] * image.shape[1])))


def _classes(asked: str | ClassSet | None, network: Network) -> ClassSet:
    outputs = network.num_outputs
    own = numbered if _has_own_outputs(network.config) else classes_of
    classes = class_set(asked) if isinstance(asked, str) else asked or own(outputs)
    if len(classes) != outputs:
        raise ValueError(f"{classes.name} has {len(classes)} classes, but {network.name} has {outputs} outputs")
    if outputs > MAX_CLASSES:
        raise ValueError(f"{network.name} has {outputs} outputs, and labels of 8 bits tell {MAX_CLASSES} classes apart")
    return classes


def _has_own_outputs(config: HRNetConfig | None) -> bool:
    """Whether a named model was made with another number of outputs: classes of the user's, whatever has as many."""
    try:
        return config is not None and config.num_outputs != model_config(config.name).num_outputs
    except KeyError:  # made from parts, not by a name
        return False

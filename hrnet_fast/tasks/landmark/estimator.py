"""LandmarkEstimator: pictures and boxes of faces in, landmarks out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..boxes import read_boxes
from ..images import Source, pictures_of, read_image
from ..network import open_network
from ..stages import Stages, clock
from .boxes import Square, square_of
from .crop import crop_faces
from .decode import decode
from .protocol import protocol_of
from .results import GIVEN, IMAGE, Face
from .schemes import scheme_of


class _Request(NamedTuple):
    image: int
    box: tuple[float, float, float, float]
    score: float
    source: str
    square: Square
    crop: Tensor  # (1, 3, h, w)


class LandmarkEstimator:
    """Finds the landmarks of faces (HRNetV2; WFLW's 98, 300W's 68, COFW's 29 or AFLW's 19 points).

        LandmarkEstimator("hrnet_w18.landmark_wflw", weights="HR18-WFLW.pth")("party.jpg", boxes=[[40, 30, 120, 150]])

    model, weights, dtype, device, executor: as `open_network`.
    protocol: what the network was trained with: "official" (HRNet-Facial-Landmark-Detection, its evaluation's crop to
        one grey level), "affine" (the same with an affine crop, which is not antialiased) or "mmpose".
    flip_test: also looks at the mirror image, and averages; the papers' tables are without it.
    batch_size: faces per network call; it bounds the memory.
    Errors: ValueError for an unknown protocol, a network whose input is not square, and for flip_test with a
        number of points that no data set has; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike | Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        executor: str = "auto",
        protocol: str = "official",
        flip_test: bool = False,
        batch_size: int = 16,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.batch_size, self.protocol = batch_size, protocol_of(protocol)
        self.network = open_network(model, weights, task="landmark", dtype=dtype, device=device, executor=executor)
        height, width = self.network.input_size
        if height != width:
            raise ValueError(f"faces are cut out as squares, but {self.network.name} takes {height} x {width} pixels")
        self.swap = scheme_of(self.network.num_outputs).swap if flip_test else None

    def __call__(self, image: Source, boxes: Any = None, *, stages: Stages | None = None) -> list[Face]:
        """The faces of one picture, one for each box, in their order.

        image: whatever `read_image` takes. boxes: N rows of x, y, width, height and optionally a score, in
            pixels: the box around the landmarks, as a face detector gives it; it is widened by 1.25 here. None takes
            the whole picture for one face, and the result says so (`box_source`). No boxes give no faces. A box that
            passes the border is cut out with black around it.
        Errors: those of `read_boxes`, of `read_image` and of the network.
        """
        return self.batch([image], [boxes], stages=stages)[0]

    def batch(
        self, images: Iterable[Source], boxes: Iterable[Any] | None = None, *, stages: Stages | None = None
    ) -> list[list[Face]]:
        """The faces of many pictures, of any sizes, which go through the network together, `batch_size` at once.

        boxes: for each picture what `__call__` takes; None for no boxes anywhere.
        """
        images = list(pictures_of(images))
        boxes = [None] * len(images) if boxes is None else list(boxes)
        if len(boxes) != len(images):
            raise ValueError(f"there are {len(images)} pictures and boxes for {len(boxes)}; each needs an entry")
        faces: list[list[Face]] = [[] for _ in images]
        waiting: list[_Request] = []
        for index, (image, given) in enumerate(zip(images, boxes)):
            for request in self._requests(index, image, given, stages):
                waiting.append(request)
                if len(waiting) == self.batch_size:
                    self._answer(waiting, faces, stages)
                    waiting = []
        if waiting:
            self._answer(waiting, faces, stages)
        return faces

    def _requests(self, index: int, image: Source, boxes: Any, stages: Stages | None) -> Iterator[_Request]:
        """The crops of one picture."""
        stage = clock(stages)
        with stage("read"):
            pixels = read_image(image).to(self.network.device)
        height, width = pixels.shape[:2]
        source = IMAGE if boxes is None else GIVEN
        rows, box_scores = read_boxes([(0, 0, width, height)] if boxes is None else boxes, (height, width))
        for first in range(0, len(rows), self.batch_size):
            piece = [tuple(row) for row in rows[first : first + self.batch_size].tolist()]
            with stage("crop"):
                squares = [square_of(box) for box in piece]
                crops = crop_faces(pixels, squares, self.network.input_size[0], self.protocol)
            for box, score, square, crop in zip(piece, box_scores[first:].tolist(), squares, crops.split(1)):
                yield _Request(index, box, score, source, square, crop)

    def _answer(self, requests: list[_Request], faces: list[list[Face]], stages: Stages | None) -> None:
        """Runs the network on some crops and adds what it finds to the faces of their pictures."""
        stage = clock(stages)
        count = len(requests)
        with stage("crop"):
            batch = torch.cat([request.crop for request in requests])
            if self.swap is not None:
                batch = torch.cat((batch, batch.flip(3)))
        with stage("network"):
            heatmaps = self.network(batch)
        with stage("decode"):
            flipped = heatmaps[count:] if self.swap is not None else None
            squares = [request.square for request in requests]
            points, scores = decode(heatmaps[:count], squares, self.protocol, flipped, self.swap)
            for request, at, score in zip(requests, points.float(), scores):
                faces[request.image].append(Face(at, score, request.box, request.score, request.source))

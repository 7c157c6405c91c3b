"""LandmarkEstimator: pictures and boxes of faces in, landmarks out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..network import open_network
from ..topdown import TopDown
from .boxes import Square, square_of
from .crop import crop_faces
from .decode import decode
from .protocol import protocol_of
from .results import Face
from .schemes import scheme_of


class LandmarkEstimator(TopDown[Face]):
    """Finds the landmarks of faces (HRNetV2; WFLW's 98, 300W's 68, COFW's 29 or AFLW's 19 points).

        LandmarkEstimator("hrnet_w18.landmark_wflw", weights="HR18-WFLW.pth")("party.jpg", boxes=[[40, 30, 120, 150]])

    model, weights, dtype, device, executor: as in `open_network`.
    protocol: how the network was trained: "official" (HRNet-Facial-Landmark-Detection, with its evaluation's crop
        to one grey level), "affine" (the same with an affine crop, which is not antialiased) or "mmpose".
    flip_test: also run the mirror image, and average; the papers' tables are without it.
    batch_size: faces per network call; it bounds the memory.
    A call returns a face for each box, in the order of the boxes. A box encloses the landmarks, as a face detector's
    does; it is widened by 1.25 here.
    Errors: ValueError for an unknown protocol, for a network whose input is not square, and for flip_test with a
        number of points that no data set has; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
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
        self.flip_test = flip_test
        self.swap = scheme_of(self.network.num_outputs).swap if flip_test else None

    def regions(self, boxes: Tensor) -> list[Square]:
        """What the network sees of each box (N, 4)."""
        return [square_of(box) for box in boxes.tolist()]

    def _crops(self, picture: Tensor, regions: Sequence[Square]) -> Tensor:
        crops = crop_faces(picture, regions, self.network.input_size[0], self.protocol)
        return crops if self.swap is None else torch.cat((crops, crops.flip(3)))

    def _decode(self, maps: Tensor, flipped: Tensor | None, parts: Sequence[Sequence[Square]]) -> Tensor:
        squares = [square for part in parts for square in part]
        points, scores = decode(maps, squares, self.protocol, flipped, self.swap)
        return torch.cat((points.float(), scores[..., None]), 2)

    def _results(self, points: Tensor, rows: Tensor, scores: Tensor, source: str) -> list[Face]:
        return [
            Face(face[:, :2], face[:, 2], tuple(box), score, source)
            for face, box, score in zip(points, rows.tolist(), scores.tolist())
        ]

"""PoseEstimator: pictures and person boxes in, keypoints out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...kernels import affine_crop
from ..boxes import read_boxes
from ..images import Source, pictures_of, read_image
from ..network import open_network
from ..pixels import MEAN, STD
from ..stages import Stages, clock
from .affine import crop_matrices, to_picture
from .boxes import Regions, regions_of
from .decode import METHODS, decode
from .detector import torchvision_detector
from .nms import OKS_THRE, suppression_of
from .rescore import rescore
from .results import Person
from .skeletons import Skeleton, skeleton_of

Detector = Callable[[Tensor], Tensor]  # picture (H, W, 3) uint8 -> (N, 5) x, y, width, height, score


class PoseEstimator:
    """Keypoints of people by the top-down protocol of the official pose repository (tools/test.py).

        PoseEstimator("hrnet_w32.pose_coco_256x192", weights="pose_hrnet_w32_256x192.pth")("street.jpg", boxes)

    model, weights, dtype, device, executor: as `open_network`.
    detector: what finds people if no boxes are given: "torchvision" (Faster R-CNN; see `torchvision_detector` for its
        weights), or a function from a picture (H, W, 3) uint8 to boxes (N, 5) x, y, width, height, score.
    flip_test: also looks at the mirror image, and averages (TEST.FLIP_TEST).
    shift: moves the mirrored heatmaps by one pixel (TEST.SHIFT_HEATMAP); None for True, except with UDP, which aligns
        them.
    decode: "quarter", "dark" or "udp". UDP needs a network trained for it; DARK works with any.
    blur: size of the Gaussian of DARK and UDP; None for 17 if the network's input is 384 or more high (its heatmaps
        have sigma 3), else 11 (sigma 2).
    nms, oks_threshold: how duplicate detections of a person are suppressed: "hard" (the official OKS-NMS), "soft", or
        None, which keeps one person per box.
    skeleton: the keypoints; None for COCO's or MPII's, by their number.
    batch_size: people per network call; it bounds the memory.
    Errors: ValueError for an unknown `decode`, a skeleton that does not fit the network; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike | Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        executor: str = "auto",
        detector: str | Detector | None = None,
        flip_test: bool = True,
        shift: bool | None = None,
        decode: str = "quarter",
        blur: int | None = None,
        nms: str | None = None,
        oks_threshold: float = OKS_THRE,
        skeleton: Skeleton | None = None,
        batch_size: int = 16,
    ) -> None:
        if decode not in METHODS:
            raise ValueError(f"decode {decode!r} is not known; choose one of {', '.join(METHODS)}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.network = open_network(model, weights, task="pose", dtype=dtype, device=device, executor=executor)
        self.skeleton = skeleton or skeleton_of(self.network.num_outputs)
        if len(self.skeleton.keypoints) != self.network.num_outputs:
            raise ValueError(
                f"the skeleton {self.skeleton.name!r} has {len(self.skeleton.keypoints)} keypoints and "
                f"{self.network.name} {self.network.num_outputs}; they must agree"
            )
        if nms is not None and not self.skeleton.sigmas:
            raise ValueError(f"nms needs the sigmas of OKS, which the skeleton {self.skeleton.name!r} has not")
        self.detector = torchvision_detector(device=self.network.device) if detector == "torchvision" else detector
        if self.detector is not None and not callable(self.detector):
            raise ValueError(f"detector {detector!r} is neither 'torchvision' nor a function from a picture to boxes")
        self.flip_test, self.decode, self.batch_size = flip_test, decode, batch_size
        self.nms, self.oks_threshold = suppression_of(nms), oks_threshold
        self.shift = decode != "udp" if shift is None else shift
        self.blur = (17 if self.network.input_size[0] >= 384 else 11) if blur is None else blur

    def __call__(self, image: Source, boxes: Any = None, *, stages: Stages | None = None) -> list[Person]:
        """The people of one picture, in the order of their boxes (with `nms`, by falling score).

        image: whatever `read_image` takes.
        boxes: N rows of x, y, width, height and optionally a score, in pixels; None to ask the detector, or without one
            to take the whole picture for one person, and the result says so (`box_source`). No boxes give no people. A
            box that passes the border is cut out with black around it. The official file of detections:
            `read_detections`.
        Errors: those of `read_boxes`, of `read_image` and of the network.
        """
        return self.batch([image], [boxes], stages=stages)[0]

    def batch(
        self, images: Iterable[Source], boxes: Iterable[Any] | None = None, *, stages: Stages | None = None
    ) -> list[list[Person]]:
        """The same for many pictures, of any sizes, whose people go through the network together.

        boxes: for each picture what `__call__` takes; None for no boxes anywhere.
        """
        return list(self.stream(images, boxes, stages=stages))

    def stream(
        self, images: Iterable[Source], boxes: Iterable[Any] | None = None, *, stages: Stages | None = None
    ) -> Iterator[list[Person]]:
        """As `batch`, picture by picture as they are done; holds few pictures and `batch_size` crops at once."""
        kept: list[tuple[Tensor, Tensor, str]] = []

        def requests() -> Iterator[tuple[Tensor, Regions]]:
            for image, given in _paired(pictures_of(images), boxes):
                with clock(stages)("read"):
                    picture = read_image(image)
                rows, scores, source = self._boxes(picture, given, stages)
                kept.append((rows, scores, source))
                yield picture, self.regions(rows)

        for points in self.keypoints(requests(), stages=stages):
            with clock(stages)("decode"):
                yield self._people(points, *kept.pop(0))

    def keypoints(
        self, requests: Iterable[tuple[Tensor, Regions]], *, stages: Stages | None = None
    ) -> Iterator[Tensor]:
        """For each picture (H, W, 3) uint8 with N regions: (N, K, 3) x, y in its pixels and score; float32, on the CPU.

        Regions of several pictures share batches of at most `batch_size`. A picture goes to the network's device once;
        of a batch three numbers a keypoint come back, and the network's word that its outputs are finite.
        """
        waiting: list[list[Tensor]] = []  # by picture: what is decoded of it
        batch: list[tuple[Tensor, Regions, list[Tensor]]] = []
        people = 0
        for picture, regions in requests:
            waiting.append([torch.empty(0, self.network.num_outputs, 3)])
            if len(regions):
                with clock(stages)("crop"):
                    picture = picture.to(self.network.device)
            for start in range(0, len(regions), self.batch_size):
                part = regions[start : start + self.batch_size]
                if people + len(part) > self.batch_size:
                    self._run(batch, stages)
                    yield from (torch.cat(parts) for parts in waiting[:-1])
                    del waiting[:-1]
                    batch, people = [], 0
                batch.append((self._crops(picture, part, stages), part, waiting[-1]))
                people += len(part)
            if not batch:
                yield from (torch.cat(parts) for parts in waiting)
                waiting = []
        self._run(batch, stages)
        yield from (torch.cat(parts) for parts in waiting)

    def regions(self, boxes: Tensor) -> Regions:
        """What the network sees of each box (N, 4)."""
        height, width = self.network.input_size
        return regions_of(boxes, width / height)

    def _crops(self, picture: Tensor, part: Regions, stages: Stages | None) -> Tensor:
        """What the network sees of a picture's regions, then with the flip test their mirror images."""
        size, udp = self.network.input_size, self.decode == "udp"
        with clock(stages)("crop"):
            return affine_crop(picture, crop_matrices(part, size, udp), size, MEAN, STD, self.flip_test)

    @torch.no_grad()
    def _run(self, batch: list[tuple[Tensor, Regions, list[Tensor]]], stages: Stages | None) -> None:
        """Appends to each list of `batch` the keypoints (N, K, 3) of its crops, which were cut out at its regions."""
        if not batch:
            return
        stage, counts = clock(stages), [len(part) for _, part, _ in batch]
        with stage("crop"):
            images = batch[0][0]
            if len(batch) > 1:  # all crops, then all mirror images
                pieces = [crops.split(count) for (crops, _, _), count in zip(batch, counts)]
                images = torch.cat([piece for kind in zip(*pieces) for piece in kind])
        with stage("network"):
            heatmaps = self.network(images)
        with stage("decode"):
            maps, flipped = heatmaps.chunk(2) if self.flip_test else (heatmaps, None)
            points = decode(maps, flipped, self.skeleton.swap, shift=self.shift, method=self.decode, kernel=self.blur)
            for found, (_, part, parts) in zip(points.cpu().split(counts), batch):
                found[..., :2] = to_picture(found[..., :2], part, maps.shape[2:], self.decode == "udp")
                parts.append(found.float())

    def _boxes(self, picture: Tensor, boxes: Any, stages: Stages | None) -> tuple[Tensor, Tensor, str]:
        height, width = picture.shape[:2]
        if boxes is not None:
            return *read_boxes(boxes, (height, width)), "given"
        if self.detector is not None:
            with clock(stages)("detect"):
                return *read_boxes(self.detector(picture), (height, width)), "detector"
        return *read_boxes([(0, 0, width, height)], (height, width)), "image"

    def _people(self, points: Tensor, boxes: Tensor, box_scores: Tensor, source: str) -> list[Person]:
        scores = rescore(points[..., 2].double(), box_scores)
        kept: Sequence[int] = range(len(points))
        if self.nms is not None:
            areas, sigmas = self.regions(boxes).areas, self.skeleton.sigmas
            kept = self.nms(points, scores, areas, sigmas, self.oks_threshold).tolist()
        rows, box_scores, scores = boxes.tolist(), box_scores.tolist(), scores.tolist()
        return [
            Person(points[i, :, :2], points[i, :, 2], scores[i], tuple(rows[i]), box_scores[i], source, self.skeleton)
            for i in kept
        ]


def _paired(images: Iterable[Source], boxes: Iterable[Any] | None) -> Iterator[tuple[Source, Any]]:
    if boxes is None:
        yield from ((image, None) for image in images)
        return
    missing = object()
    boxes = iter(boxes)
    for image in images:
        given = next(boxes, missing)
        if given is missing:
            raise ValueError("there are fewer lists of boxes than pictures; give one for each picture, or None")
        yield image, given
    if next(boxes, missing) is not missing:
        raise ValueError("there are more lists of boxes than pictures; give one for each picture")

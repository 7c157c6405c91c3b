"""Top-down estimation: boxes are cut out of pictures, go through a network together, and are answered by picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat, zip_longest
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from .boxes import DETECTOR, GIVEN, IMAGE, Boxes, read_boxes
from .images import Source, pictures_of, read_image
from .network import Network, listed
from .stages import Stages, clock

Regions = Any  # N parts of a picture, in a form of the task's own that has a length and slices
Result = TypeVar("Result")


class TopDown(ABC, Generic[Result]):
    """An estimator that gives one result for each box of a picture (with suppression: for some of them).

    network: what finds K points in a crop. batch_size: crops per network call.
    """

    network: Network
    batch_size: int

    def __call__(self, image: Source, boxes: Boxes | None = None, *, stages: Stages | None = None) -> list[Result]:
        """The results of one picture, in the order of its boxes unless the class says otherwise.

        image: whatever `read_image` takes.
        boxes: N rows of x, y, width, height and optionally a score, in pixels; N may be 0. None: the boxes of the
            detector, without those that no crop can be made of; without a detector, the whole picture as one box, which
            the result tells (`box_source`). Where a box reaches over the border, the crop is black.
        Errors: those of `read_boxes`, of `read_image` and of the network.
        """
        return self.batch([image], [boxes], stages=stages)[0]

    def batch(
        self, images: Iterable[Source], boxes: Iterable[Boxes | None] | None = None, *, stages: Stages | None = None
    ) -> list[list[Result]]:
        """The same for many pictures, of any sizes, whose boxes go through the network together.

        boxes: for each picture what `__call__` takes; None for no boxes anywhere.
        """
        return list(self.stream(images, boxes, stages=stages))

    def stream(
        self, images: Iterable[Source], boxes: Iterable[Boxes | None] | None = None, *, stages: Stages | None = None
    ) -> Iterator[list[Result]]:
        """As `batch`, picture by picture as they are done; holds few pictures and `batch_size` crops at once."""
        kept: deque[tuple[Tensor, Tensor, str]] = deque()

        def requests() -> Iterator[tuple[Tensor, Regions]]:
            for image, given in _paired(pictures_of(images), boxes):
                with clock(stages)("read"):
                    picture, source = read_image(image), GIVEN
                if given is None:
                    picture, given, source = self._find_boxes(picture, stages)
                rows, scores = read_boxes(given, picture.shape[:2], drop=source == DETECTOR)
                kept.append((rows, scores, source))
                yield picture, self.regions(rows)

        for points in self.keypoints(requests(), stages=stages):
            with clock(stages)("decode"):
                results = self._results(points, *kept.popleft())
            yield results

    def keypoints(
        self, requests: Iterable[tuple[Tensor, Regions]], *, stages: Stages | None = None
    ) -> Iterator[Tensor]:
        """For each picture (H, W, 3) uint8 with N regions: (N, K, 3) x, y in its pixels and score; float32, on the CPU.

        Regions of several pictures share batches of `batch_size`. A picture goes to the network's device once; of a
        batch three numbers a keypoint come back, and the network's word that its outputs are finite.
        """
        stage = clock(stages)
        batch: list[tuple[Tensor, Regions]] = []  # crops, and what they were cut out at
        room = self.batch_size
        counts: deque[int] = deque()  # of each picture that is not given back yet: its regions
        # What was found in the first of these regions
        found = torch.empty(0, self.network.num_outputs, 3, dtype=torch.float32, device="cpu")
        for picture, regions in requests:
            counts.append(len(regions))
            if len(regions):
                with stage("crop"):
                    picture = picture.to(self.network.device)
            while len(regions):
                part, regions = regions[:room], regions[room:]
                with stage("crop"):
                    batch.append((self._crops(picture, part), part))
                room -= len(part)
                if not room:
                    found = torch.cat((found, self._run(batch, stages)))
                    batch, room = [], self.batch_size
            while counts and counts[0] <= len(found):
                yield found[: counts[0]]
                found = found[counts.popleft() :]
        if batch:
            found = torch.cat((found, self._run(batch, stages)))
        yield from found.split(list(counts))

    @abstractmethod
    def regions(self, boxes: Tensor) -> Regions:
        """What the network sees of each box (N, 4)."""

    @abstractmethod
    def _crops(self, picture: Tensor, regions: Regions) -> Tensor:
        """(N, 3, h, w) float32, normalised, on the picture's device; with a flip test N mirror images follow."""

    @abstractmethod
    def _decode(self, maps: Tensor, flipped: Tensor | None, parts: Sequence[Regions]) -> Tensor:
        """(N, K, 3) as `keypoints` gives them. maps, flipped: (N, K, h, w); parts: regions, N together."""

    @abstractmethod
    def _results(self, points: Tensor, rows: Tensor, scores: Tensor, source: str) -> list[Result]:
        """The results of one picture. points: (N, K, 3); rows: (N, 4) boxes; scores: (N,) of these; source: theirs."""

    def _find_boxes(self, picture: Tensor, stages: Stages | None) -> tuple[Tensor, Boxes, str]:
        """A picture for which no boxes were given, where it is then needed; its boxes; and their source."""
        height, width = picture.shape[:2]
        return picture, [(0, 0, width, height)], IMAGE

    @torch.no_grad()
    def _run(self, batch: list[tuple[Tensor, Regions]], stages: Stages | None) -> Tensor:
        """The keypoints (N, K, 3) of crops, which were cut out at the regions beside them."""
        stage, count = clock(stages), sum(len(part) for _, part in batch)
        with stage("crop"):
            images = batch[0][0]
            if len(batch) > 1:  # all crops, then all mirror images
                pieces = [crops.split(len(part)) for crops, part in batch]
                images = torch.cat([piece for kind in zip(*pieces) for piece in kind])
        with stage("network"):
            (heatmaps,) = listed(self.network(images))
        with stage("decode"):
            maps, flipped = (*heatmaps.split(count), None)[:2]
            return self._decode(maps, flipped, [part for _, part in batch])


def _paired(images: Iterable[Source], boxes: Iterable[Boxes | None] | None) -> Iterator[tuple[Source, Boxes | None]]:
    if boxes is None:
        yield from zip(images, repeat(None))
        return
    missing: Any = object()
    for image, given in zip_longest(images, boxes, fillvalue=missing):
        if given is missing:
            raise ValueError("there are fewer lists of boxes than pictures; give one for each picture, or None")
        if image is missing:
            raise ValueError("there are more lists of boxes than pictures; give one for each picture")
        yield image, given

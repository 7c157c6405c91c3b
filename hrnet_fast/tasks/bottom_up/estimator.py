"""BottomUpPoseEstimator: pictures in, the keypoints of everyone in them out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...kernels import affine_crop
from ..boxes import KEYPOINTS
from ..images import Source, pictures_of, read_image
from ..network import listed, open_network
from ..pixels import MEAN, STD
from ..pose.affine import crop_matrices, to_picture
from ..pose.results import Person
from ..pose.skeletons import Skeleton, skeleton_for
from ..stages import Stages, clock
from .decode import decode
from .grouping import OFFICIAL, Grouping
from .maps import Maps, Sum, view_maps
from .views import STEP, checked_scales, region, view_size


class BottomUpPoseEstimator:
    """Keypoints of everyone in a picture, without boxes, by the official test of HigherHRNet (tools/valid.py).

        BottomUpPoseEstimator("hrnet_w32.pose_higher_coco_512x512", "pose_higher_hrnet_w32_512.pth")("street.jpg")

    model, weights, dtype, device, executor: as in `open_network`.
    flip_test: also run the mirror image: heatmaps are averaged, and people are told apart by the tags of both
        (TEST.FLIP_TEST).
    scales: the sizes at which the picture is run, as multiples of `short_side` (TEST.SCALE_FACTOR). Heatmaps are
        averaged, tags are those of scale 1. The paper's multi-scale rows have 0.5, 1, 2.
    short_side: pixels of the picture's short side at scale 1; at the smallest scale, it is rounded up to a multiple of
        64. None for the model's own (DATASET.INPUT_SIZE).
    project: enlarge the maps to the size of the picture at scale 1 before looking for peaks (TEST.PROJECT2IMAGE);
        if not, they stay at half the size of the largest scale.
    adjust, refine: as in `decode.decode` (TEST.ADJUST, TEST.REFINE). grouping: how keypoints are grouped into people.
    skeleton: the keypoints; None for COCO's or CrowdPose's, by their number.
    A call returns everyone that was found, by falling score, even with a single keypoint.
    Memory: with `project` some 110 maps of float32 at the size of the view at scale 1 (150 MB at 512 x 704).
    Errors: ValueError for scales that do not go together, a short side below 1 and a skeleton that does not fit the
        network; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        executor: str = "auto",
        flip_test: bool = True,
        scales: Sequence[float] = (1.0,),
        short_side: int | None = None,
        project: bool = True,
        adjust: bool = True,
        refine: bool = True,
        grouping: Grouping = OFFICIAL,
        skeleton: Skeleton | None = None,
    ) -> None:
        self.scales = checked_scales(scales)
        if short_side is not None and short_side < 1:
            raise ValueError(f"short_side is {short_side}; it must be at least 1")
        side = None if short_side is None else -(-short_side // STEP) * STEP
        self.network = open_network(
            model, weights, task="bottom_up", dtype=dtype, device=device, executor=executor,
            input_size=None if side is None else (side, side),
        )  # fmt: skip
        self.short_side = min(self.network.input_size) if short_side is None else short_side
        self.skeleton = skeleton_for(skeleton, self.network.num_outputs, self.network.name)
        self.flip_test, self.project = flip_test, project
        self.adjust, self.refine, self.grouping = adjust, refine, grouping

    def __call__(self, image: Source, *, stages: Stages | None = None) -> list[Person]:
        """Everyone in one picture, by falling score.

        image: whatever `read_image` takes.
        Errors: those of `read_image` and of the network; ImageError for a picture that is too narrow.
        """
        return self.batch([image], stages=stages)[0]

    def batch(self, images: Iterable[Source], *, stages: Stages | None = None) -> list[list[Person]]:
        """The same for many pictures, of any sizes, one after another."""
        return list(self.stream(images, stages=stages))

    def stream(self, images: Iterable[Source], *, stages: Stages | None = None) -> Iterator[list[Person]]:
        """As `batch`, picture by picture as they are done."""
        for image in pictures_of(images):
            with clock(stages)("read"):
                picture = read_image(image)
            points, scores = self.keypoints(picture, stages=stages)
            with clock(stages)("group"):
                people = [self._person(one, score) for one, score in zip(points, scores.tolist())]
            yield people

    @torch.no_grad()
    def keypoints(self, picture: Tensor, *, stages: Stages | None = None) -> tuple[Tensor, Tensor]:
        """Keypoints (P, K, 3), as x, y in pixels and score, and scores (P,) of the P people in a picture (H, W, 3)
        uint8; float32, on the CPU. Only candidates for keypoints come back from the network's device."""
        height, width = picture.shape[:2]
        lowest = self.scales[-1]
        maps = self._maps(picture, stages)
        with clock(stages)("group"):
            points, scores = decode(maps, self.grouping, adjust=self.adjust, refine=self.refine)
            # the region of the view that was looked at last, as official
            seen = region(height, width, view_size(height, width, self.short_side, lowest, lowest))
            flat = to_picture(points[..., :2].reshape(1, -1, 2), seen, maps.heatmaps.shape[1:])
            points[..., :2] = flat.view(*points.shape[:2], 2)
        return points, scores

    def _maps(self, picture: Tensor, stages: Stages | None) -> Maps:
        stage, total, (height, width) = clock(stages), Sum(), picture.shape[:2]
        lowest = self.scales[-1]
        target = view_size(height, width, self.short_side, 1.0, lowest) if self.project else None
        with stage("resize"):
            picture = picture.to(self.network.device)
        for scale in self.scales:
            with stage("resize"):
                size = view_size(height, width, self.short_side, scale, lowest)
                matrices = crop_matrices(region(height, width, size), size)
                images = affine_crop(picture, matrices, size, MEAN, STD, self.flip_test)
            with stage("network"):
                outputs = self.network(images)
            with stage("maps"):
                heatmaps, tags = view_maps(listed(outputs), self.skeleton.swap, target)
                total.add(heatmaps, tags, with_tags=scale == 1 or len(self.scales) == 1)
        with stage("maps"):
            return total.mean()

    def _person(self, points: Tensor, score: float) -> Person:
        seen = points[:, 2] > 0
        found = points[seen if seen.any() else slice(None), :2].double()  # none with a threshold below 0
        low = found.amin(0)
        box = (*low.tolist(), *(found.amax(0) - low).tolist())
        return Person(points[:, :2], points[:, 2], score, box, 1.0, KEYPOINTS, self.skeleton)

"""PoseEstimator: pictures and person boxes in, keypoints out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...kernels import affine_crop
from ..boxes import DETECTOR, Boxes
from ..network import open_network
from ..pixels import MEAN, STD
from ..stages import Stages, clock
from ..topdown import TopDown
from .affine import crop_matrices, to_picture
from .boxes import Regions, regions_of
from .dark import check_kernel
from .decode import METHODS, decode
from .detector import TorchvisionDetector, torchvision_detector
from .nms import OKS_THRE, check_threshold, suppression_of
from .rescore import rescore
from .results import Person
from .skeletons import Skeleton, skeleton_for

Detector = Callable[[Tensor], Boxes]  # picture (H, W, 3) uint8 -> (N, 5) x, y, width, height, score


class PoseEstimator(TopDown[Person]):
    """Keypoints of people by the top-down protocol of the official pose repository (tools/test.py).

        PoseEstimator("hrnet_w32.pose_coco_256x192", weights="pose_hrnet_w32_256x192.pth")("street.jpg", boxes)

    model, weights, dtype, device, executor: as in `open_network`.
    detector: what finds people if no boxes are given: "torchvision" (Faster R-CNN; see `torchvision_detector` for its
        weights), or a function from a picture (H, W, 3) uint8 to boxes (N, 5) x, y, width, height, score. The function
        gets the picture as `read_image` returns it: on the CPU, or on the device of the tensor that was given.
    flip_test: also run the mirror image, and average the heatmaps (TEST.FLIP_TEST).
    shift: move the mirrored heatmaps by one pixel (TEST.SHIFT_HEATMAP); None for True, but False with UDP, which aligns
        them itself.
    decode: "quarter", "dark" or "udp". UDP needs a network trained for it; DARK works with any.
    blur: size of the Gaussian of DARK and UDP; None for 17 if the network's input is 384 or more high (its heatmaps
        have sigma 3), else 11 (sigma 2).
    nms, oks_threshold: how duplicate detections of a person are suppressed: "hard" (the official OKS-NMS), "soft", or
        None, which keeps one person per box.
    skeleton: the keypoints; None for COCO's, MPII's or CrowdPose's, by their number.
    batch_size: people per network call; it bounds the memory.
    A call returns a person for each box, in the order of the boxes; with `nms`, by falling score. `read_detections`
    reads boxes from the official file of detections.
    Errors: ValueError for an unknown `decode` and a skeleton that does not fit the network; those of `open_network`.
    """

    def __init__(
        self,
        model: str | nn.Module,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
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
        if decode != "quarter" and blur is not None:
            check_kernel(blur)
        self.network = open_network(model, weights, task="pose", dtype=dtype, device=device, executor=executor)
        self.skeleton = skeleton_for(skeleton, self.network.num_outputs, self.network.name)
        if nms is not None and not self.skeleton.sigmas:
            raise ValueError(f"nms needs the sigmas of OKS, which the skeleton {self.skeleton.name!r} has not")
        check_threshold(oks_threshold)
        if detector == "torchvision":
            detector = torchvision_detector(device=self.network.device)
        if isinstance(detector, str) or not (detector is None or callable(detector)):
            raise ValueError(f"detector {detector!r} is neither 'torchvision' nor a function from a picture to boxes")
        self.detector: Detector | None = detector
        self.flip_test, self.decode, self.batch_size = flip_test, decode, batch_size
        self.nms, self.oks_threshold = suppression_of(nms), oks_threshold
        self.shift = decode != "udp" if shift is None else shift
        self.blur = (17 if self.network.input_size[0] >= 384 else 11) if blur is None else blur

    def regions(self, boxes: Tensor) -> Regions:
        """What the network sees of each box (N, 4)."""
        height, width = self.network.input_size
        return regions_of(boxes, width / height)

    def _crops(self, picture: Tensor, regions: Regions) -> Tensor:
        size = self.network.input_size
        matrices = crop_matrices(regions, size, self.decode == "udp")
        return affine_crop(picture, matrices, size, MEAN, STD, self.flip_test)

    def _decode(self, maps: Tensor, flipped: Tensor | None, parts: Sequence[Regions]) -> Tensor:
        points = decode(maps, flipped, self.skeleton.swap, shift=self.shift, method=self.decode, kernel=self.blur).cpu()
        points[..., :2] = to_picture(points[..., :2], Regions.joined(parts), maps.shape[2:], self.decode == "udp")
        return points.float()

    def _find_boxes(self, picture: Tensor, stages: Stages | None) -> tuple[Tensor, Boxes, str]:
        if self.detector is None:
            return super()._find_boxes(picture, stages)
        with clock(stages)("detect"):
            if isinstance(self.detector, TorchvisionDetector) and self.detector.device == self.network.device:
                picture = picture.to(self.network.device)  # once, for the crops too
            return picture, self.detector(picture), DETECTOR

    def _results(self, points: Tensor, rows: Tensor, scores: Tensor, source: str) -> list[Person]:
        total = rescore(points[..., 2].double(), scores)
        kept: Sequence[int] = range(len(points))
        if self.nms is not None:
            areas, sigmas = self.regions(rows).areas, self.skeleton.sigmas
            kept = self.nms(points, total, areas, sigmas, self.oks_threshold).tolist()
        found = list(zip(total.tolist(), map(tuple, rows.tolist()), scores.tolist()))
        return [Person(points[i, :, :2], points[i, :, 2], *found[i], source, self.skeleton) for i in kept]

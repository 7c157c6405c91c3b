"""Nothing is timed before its numbers were found right: each stage of ours against the same stage of the plain
pipeline, on the plain pipeline's own input to it."""

from __future__ import annotations

import numpy as np
import torch

import hrnet_fast
from benchmarks.requests.plain import STD, PlainDetection, PlainPose, PlainSegmentation
from hrnet_fast.kernels import affine_crop, upsample_argmax
from hrnet_fast.tasks.detection import Detector
from hrnet_fast.tasks.detection import transforms as detection
from hrnet_fast.tasks.detection.regions import classify, cut_out, propose
from hrnet_fast.tasks.images import read_image
from hrnet_fast.tasks.pixels import resize_planes
from hrnet_fast.tasks.pose import PoseEstimator
from hrnet_fast.tasks.pose.affine import crop_matrices, to_picture
from hrnet_fast.tasks.pose.boxes import Regions, regions_of
from hrnet_fast.tasks.pose.decode import decode
from hrnet_fast.tasks.pose.estimator import MEAN
from hrnet_fast.tasks.pose.skeletons import COCO
from hrnet_fast.tasks.segmentation import Segmenter
from hrnet_fast.tasks.segmentation.transforms import fit

GREY_LEVEL = 1.0
RELATIVE = 1e-6  # of the largest coordinate


class Mismatch(AssertionError):
    """A stage gives other numbers than the plain pipeline; the message says which and by how much."""


def check_pose(ours: PoseEstimator, plain: PlainPose, data: bytes, boxes: np.ndarray) -> str:
    """One sentence on how near ours is. Errors: Mismatch."""
    picture, size = read_image(data), ours.network.input_size
    image = plain.read(data)
    _hold("the pictures differ by", np.abs(picture.numpy().astype(int) - image).max(), GREY_LEVEL, "grey levels")
    regions = regions_of(torch.from_numpy(boxes), size[1] / size[0])
    crops = affine_crop(picture, crop_matrices(regions, size), size, MEAN, STD.tolist())
    wanted = torch.stack([plain.crop(image, *plain.region(box)) for box in boxes])
    levels = ((crops - wanted).abs() * 255 * torch.from_numpy(STD)[:, None, None]).max().item()
    _hold("the crops differ by", levels, GREY_LEVEL + 1e-3, "grey levels")
    error = _network(ours, plain, wanted[:1])
    heatmaps, flipped = plain.heatmaps(wanted)
    points = check_decode(plain, heatmaps, flipped, boxes)
    return f"crops to {levels:.2f} grey levels, network {error}, {points}"


def check_decode(plain: PlainPose, heatmaps: torch.Tensor, flipped: torch.Tensor, boxes: np.ndarray) -> str:
    """heatmaps, flipped: (N, K, h, w) float32. Errors: Mismatch."""
    regions = regions_of(torch.from_numpy(boxes), plain.width / plain.height)
    got = our_decode(heatmaps, flipped, regions).numpy()
    want = plain.decode(heatmaps, flipped.clone(), [plain.region(box) for box in boxes])
    worst = np.abs(got - want).max() / np.abs(want).max()
    _hold("the keypoints differ, relative to the largest coordinate, by", worst, RELATIVE, "")
    return f"keypoints to {worst:.0e} of the largest coordinate"


def our_decode(heatmaps: torch.Tensor, flipped: torch.Tensor, regions: Regions) -> torch.Tensor:  # (N, K, 3)
    points = decode(heatmaps, flipped, COCO.swap)
    points[..., :2] = to_picture(points[..., :2], regions, heatmaps.shape[2:])
    return points


def check_segmentation(ours: Segmenter, plain: PlainSegmentation, data: bytes) -> str:
    """One sentence on how near ours is. Errors: Mismatch."""
    image = PlainPose.read(data)
    x = plain.prepare(image)
    fitted = resize_planes(fit(read_image(data), ours.protocol)[0], tuple(x.shape[2:]))
    levels = ((fitted - x).abs() * 255 * torch.from_numpy(STD)[:, None, None]).max().item()
    _hold("the prepared pictures differ by", levels, GREY_LEVEL, "grey levels")
    error = _network(ours, plain, x)
    logits = plain.logits(x)
    size = image.shape[:2]
    got, want = upsample_argmax([logits], size, ours.align_corners)[0], plain.labels(logits, size)
    full = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=ours.align_corners)[0]
    gap = full.gather(0, want[None].long()) - full.gather(0, got[None].long())
    _hold("labels differ where the logits do by", gap.max().item() / full.abs().max().item(), RELATIVE, "")
    return f"prepared pictures to {levels:.0e} grey levels, network {error}, {(got != want).sum()} other labels"


def check_detection(ours: Detector, plain: PlainDetection, data: bytes) -> str:
    """One sentence on how near ours is. Errors: Mismatch."""
    image = PlainPose.read(data)
    x, size = plain.prepare(image)
    fitted, inner = detection.fit(read_image(data), ours.short_side, ours.long_side)
    if inner != size:
        raise Mismatch(f"the picture is fitted to {inner}, and by the plain pipeline to {size}")
    levels = ((fitted - x).abs() * 255 * torch.from_numpy(STD)[:, None, None]).max().item()
    _hold("the prepared pictures differ by", levels, GREY_LEVEL, "grey levels")
    error = _network(ours, plain, x)
    outputs = plain.outputs(x)
    exact = [y.double() for y in outputs]  # in float32 rounding decides between near scores and overlaps
    proposed = propose([y[0] for y in exact[4:9]], [y[0] for y in exact[9:]], size)
    _same("the regions differ by", proposed, plain.propose(exact, size))
    regions = plain.propose(outputs, size)
    features = plain.features(outputs, regions)
    _same("their features differ by", cut_out(outputs[:4], regions), features)
    answers, scale = plain.answers(features), (size[1] / image.shape[1], size[0] / image.shape[0])
    limits = {"threshold": ours.threshold, "iou_threshold": ours.iou_threshold, "most": ours.most}
    found = classify(*answers, regions, size, scale, **limits)
    boxes, scores, labels = plain.classify(*answers, regions, size, torch.tensor([*scale, *scale]))
    _same("the boxes differ by", found.corners, boxes)
    _same("the scores differ by", found.scores, scores)
    if not torch.equal(found.classes, labels):
        raise Mismatch("the classes differ")
    counts = f"{len(regions)} regions and {len(boxes)} boxes to {RELATIVE:.0e}"
    return f"prepared pictures to {levels:.0e} grey levels, network {error}, {counts}"


def _same(what: str, got: torch.Tensor, want: torch.Tensor) -> None:
    """Relative to the largest number."""
    if got.shape != want.shape:
        raise Mismatch(f"{what} number: {len(got)} and {len(want)}")
    _hold(what, ((got - want).abs().max() / want.abs().max()).item() if len(want) else 0.0, RELATIVE, "of the largest")


def _network(ours, plain, images: torch.Tensor) -> str:
    report = hrnet_fast.verify(plain.model, ours.network.module, images)
    worst = max(report.outputs, key=lambda output: output.error / (output.allowed or 1.0))
    if not report.passed:
        raise Mismatch(f"the network's error is {worst.error:.1e}, where plain torch's is {worst.error_torch:.1e}")
    return f"{worst.error:.0e} from float64 (plain torch {worst.error_torch:.0e})"


def _hold(what: str, value: float, most: float, unit: str) -> None:
    if not value <= most:
        raise Mismatch(f"{what} {value:.3g} {unit}, and at most {most:.3g} is allowed")

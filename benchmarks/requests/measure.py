"""Cases, their runners, and their times in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks.machine import OtherWork
from benchmarks.photo import jpeg
from benchmarks.requests.check import check_decode, check_detection, check_pose, check_segmentation, our_decode
from benchmarks.requests.plain import PlainDetection, PlainPose, PlainSegmentation
from benchmarks.requests.report import OURS, PLAIN, Row, people_of
from benchmarks.sheet import made
from hrnet_fast import create_model
from hrnet_fast.tasks.detection import Detector
from hrnet_fast.tasks.pose import PoseEstimator
from hrnet_fast.tasks.pose.boxes import regions_of
from hrnet_fast.tasks.segmentation import Segmenter
from hrnet_fast.tasks.stages import Stages
from hrnet_fast.timing import interleave, percentile
from hrnet_fast.weights.random import fill_weights

HEATMAPS = (64, 48)
SIDES = (800, 1333)  # of a detector's input: the short and the long one, at most


@dataclass(frozen=True)
class Case:
    """what: "pose", "segmentation", "detection" or "decode". model: its name. picture: (height, width) of the JPEG."""

    what: str
    model: str
    picture: tuple[int, int]
    people: int = 0

    def __str__(self) -> str:
        return f"{f'{self.what} {self.model}'.rstrip()}, {self.size}{people_of(self.people)}"

    @property
    def size(self) -> str:
        return "x".join(map(str, self.picture))


CASES = (
    *(Case("pose", "hrnet_w32.pose_coco_256x192", (480, 640), people) for people in (1, 16)),
    Case("segmentation", "hrnet_w18_small.seg_cityscapes", (512, 1024)),
    Case("segmentation", "hrnet_w48.seg_cityscapes", (512, 1024)),
    Case("detection", "hrnet_w32.faster_rcnn_coco", (480, 640)),
    *(Case("decode", "", HEATMAPS, people) for people in (1, 16, 64)),
)

Request = Callable[[Stages], object]


def measure(case: Case, seconds: float, progress: Callable[[float], None] = lambda share: None) -> list[Row]:
    """A row for ours and one for the plain pipeline. Errors: Mismatch, before anything is timed.

    seconds: spent on timing, at least; a round of turns is always finished.
    """
    check, requests = _REQUESTS[case.what](case)
    found = check()
    stages: dict[str, list[dict[str, float]]] = {name: [] for name in requests}
    around: dict[str, list[float]] = {name: [] for name in requests}

    def call(name: str) -> None:
        clock, start = Stages(), time.perf_counter()
        requests[name](clock)
        spent = time.perf_counter() - start
        stages[name].append(clock.seconds)
        around[name].append(1 - clock.seconds.get("network", 0.0) / spent)

    calls = {name: partial(call, name) for name in requests}
    warm = {name: lambda request=request: request(Stages()) for name, request in requests.items()}
    other = OtherWork()
    timings = interleave(calls, budget_s=seconds, min_rounds=3, warm=warm, progress=progress)
    rows, origin = [], made(other)
    for name, timing in timings.items():
        medians = {stage: 1e6 * percentile([one[stage] for one in stages[name]], 50) for stage in stages[name][0]}
        times = {f"p{q}_us": round(timing.microseconds(q), 1) for q in (10, 50, 90)}
        rounded = {stage: round(us, 1) for stage, us in medians.items()}
        rows.append(Row(
            case.what, case.model, case.size, case.people, name, **times, samples=len(timing.samples), stages=rounded,
            around=percentile(around[name], 50), check=found, made=origin,
        ))  # fmt: skip
    return rows


def _model(name: str) -> nn.Module:
    return fill_weights(create_model(name))


def _pose(case: Case) -> tuple[Callable[[], str], dict[str, Request]]:
    data, people = jpeg(*case.picture), boxes(case.people, *case.picture)
    ours = PoseEstimator(_model(case.model))
    plain = PlainPose(_model(case.model), ours.network.input_size)
    requests = {
        OURS: lambda stages: ours(data, people, stages=stages),
        PLAIN: lambda stages: plain(data, people, stages),
    }
    return lambda: check_pose(ours, plain, data, people), requests


def _segmentation(case: Case) -> tuple[Callable[[], str], dict[str, Request]]:
    data = jpeg(*case.picture)
    ours = Segmenter(_model(case.model), size=case.picture)
    plain = PlainSegmentation(_model(case.model), max(case.picture))
    requests = {OURS: lambda stages: ours(data, stages=stages), PLAIN: lambda stages: plain(data, stages)}
    return lambda: check_segmentation(ours, plain, data), requests


def _decode(case: Case) -> tuple[Callable[[], str], dict[str, Request]]:
    rng = np.random.default_rng(0)
    heatmaps, flipped = (_heatmaps(rng, case.people, *case.picture) for _ in range(2))
    people = boxes(case.people, 480, 640)
    plain = PlainPose(nn.Identity(), (256, 192))
    regions = regions_of(torch.from_numpy(people), 192 / 256)
    official = [plain.region(box) for box in people]
    given = flipped.clone()  # the plain decode exchanges its sides at each call, which costs the same each time
    requests = {
        OURS: lambda stages: our_decode(heatmaps, flipped, regions),
        PLAIN: lambda stages: plain.decode(heatmaps, given, official),
    }
    return lambda: check_decode(plain, heatmaps, flipped, people), requests


def _detection(case: Case) -> tuple[Callable[[], str], dict[str, Request]]:
    data = jpeg(*case.picture)
    ours = Detector(_detector(case.model), short_side=SIDES[0], long_side=SIDES[1])
    plain = PlainDetection(_detector(case.model), *SIDES)
    requests = {OURS: lambda stages: ours(data, stages=stages), PLAIN: lambda stages: plain(data, stages)}
    return lambda: check_detection(ours, plain, data), requests


def _detector(name: str) -> nn.Module:
    """Random logits saturate the sigmoid, and random deltas make boxes as large as the picture: smaller ones leave more
    regions."""
    model = _model(name)
    with torch.no_grad():
        for layer in ("rpn_cls", "rpn_reg"):
            model.get_parameter(f"rpn_head.{layer}.weight").mul_(0.1)
    return model


_REQUESTS = {"pose": _pose, "segmentation": _segmentation, "detection": _detection, "decode": _decode}


def boxes(people: int, height: int, width: int) -> np.ndarray:
    """(people, 4) float64 x, y, width, height: as people stand in a picture of this size, some across its border."""
    rng = np.random.default_rng(0)
    tall = rng.uniform(0.3, 0.95, people) * height
    wide = tall * rng.uniform(0.3, 0.6, people)
    x = rng.uniform(-0.05, 1.0, people) * (width - wide)
    y = rng.uniform(-0.05, 1.0, people) * (height - tall)
    return np.stack([x, y, wide, tall], 1)


def _heatmaps(rng: np.random.Generator, people: int, height: int, width: int) -> torch.Tensor:
    """(people, 17, height, width) float32: a Gaussian of sigma 2, as a trained network answers, and noise."""
    y, x = np.mgrid[:height, :width]
    at = rng.uniform(0, 1, (people, 17, 2)) * (width - 1, height - 1)
    square = (x - at[..., :1, None]) ** 2 + (y - at[..., 1:, None]) ** 2
    return torch.from_numpy((np.exp(-square / 8) + rng.normal(0, 0.01, square.shape)).astype(np.float32))

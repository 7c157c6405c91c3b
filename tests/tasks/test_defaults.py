"""Torch's default device and dtype are the caller's own: results do not depend on them."""

import pytest
import torch

from hrnet_fast import BottomUpPoseEstimator, LandmarkEstimator, PoseEstimator, Segmenter
from hrnet_fast.kernels.resample_argmax import Axis, axis_taps
from hrnet_fast.tasks.bottom_up import Grouping
from hrnet_fast.tasks.detection.regions import classify, propose
from hrnet_fast.tasks.pixels import normalise
from hrnet_fast.tasks.segmentation import transforms
from tests.networks import small_net

PICTURE = torch.randint(256, (3, 90, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
BOXES = [[10, 5, 80, 70], [0, 0, 120, 90]]


@pytest.fixture
def meta():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@pytest.fixture(params=[torch.float64, torch.bfloat16, torch.float16], ids=str)
def dtype(request):
    torch.set_default_dtype(request.param)
    yield
    torch.set_default_dtype(torch.float32)


def people(**options):
    with torch.device("cpu"):
        model = small_net()
    return [(one.keypoints, one.scores) for one in PoseEstimator(model, **options)(PICTURE, BOXES)]


def faces():
    with torch.device("cpu"):
        model = small_net("landmark_wflw")
    return [(one.points, one.scores) for one in LandmarkEstimator(model)(PICTURE, BOXES)]


def labels():
    with torch.device("cpu"):
        model = small_net("seg_pascal_context59")
    return [(Segmenter(model)(PICTURE).labels,)]


def everyone():
    with torch.device("cpu"):
        model = small_net("pose_higher_coco_512x512")
    grouping = Grouping(max_people=3, detection_threshold=-9.0)
    found = BottomUpPoseEstimator(model, short_side=64, scales=(0.5, 1), grouping=grouping)(PICTURE)
    assert found
    return [(one.keypoints, one.scores) for one in found]


TASKS = {
    "pose": lambda: people(flip_test=True),
    "DARK": lambda: people(decode="dark", nms="soft"),
    "bottom-up": everyone,
    "landmarks": faces,
    "segmentation": labels,
}


@pytest.fixture(scope="module")
def expected():
    return {name: task() for name, task in TASKS.items()}


@pytest.mark.parametrize("name", TASKS)
def test_a_default_device(name, expected, meta):
    found = TASKS[name]()
    assert all(torch.equal(a, b) for one, other in zip(found, expected[name], strict=True) for a, b in zip(one, other))


WINDOW = Axis(9, 3, 3, 5, 14, 14, 14, 31), True


def regions():
    levels = [torch.linspace(-1, 1, 15 * n, dtype=torch.float32).reshape(15, 1, n) for n in (24, 12, 6, 3, 2)]
    return propose([level[:3] for level in levels], [level[3:] for level in levels], (4, 96))


def objects():
    where = torch.tensor([[3.0, 5.0, 30.0, 70.0], [0.1, 0.2, 90.0, 80.0]], dtype=torch.float32)
    logits, deltas = torch.linspace(-1, 1, 2 * 11, dtype=torch.float32).reshape(2, 11).split((3, 8), dim=1)
    found = classify(logits, deltas, where, (90, 120), (0.7, 0.6), threshold=0.05, iou_threshold=0.5, most=100)
    return found.corners, found.scores


ARITHMETIC = {  # without what is kept from call to call
    "crops": lambda: [normalise([PICTURE.permute(1, 2, 0)])],
    "views": lambda: [transforms.normalise_in_place(PICTURE[None].float())],
    "windows": lambda: [transforms.window(PICTURE[None].float(), 60, 60, 90, 90)],
    "regions": lambda: [regions()],
    "objects": objects,
    "labels": lambda: axis_taps.__wrapped__(*WINDOW),
}


@pytest.fixture(scope="module")
def computed():
    return {name: compute() for name, compute in ARITHMETIC.items()}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_a_default_dtype(name, computed, dtype):
    found = ARITHMETIC[name]()
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, computed[name], strict=True))

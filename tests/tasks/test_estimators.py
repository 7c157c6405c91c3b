"""What the tasks' estimators have in common: who knows one knows the others."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from hrnet_fast.api import known_device
from hrnet_fast.tasks.registry import HEADS, package_of

MODELS = {
    "pose": "hrnet_w18_small.pose_coco_256x192",
    "segmentation": "hrnet_w18_small.seg_lip",
    "landmark": "hrnet_w18_small.landmark_cofw",
    "classification": "hrnet_w18_small.cls_in1k",
    "bottom_up": "hrnet_w18_small.pose_higher_coco_512x512",
    "detection": "hrnet_w18_small.faster_rcnn_coco",
}
OPTIONS = {"segmentation": {"size": (64, 64)}, "bottom_up": {"short_side": 64}, "detection": {"short_side": 64}}
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


def estimator_of(task, **options):
    return package_of(task).Estimator(MODELS[task], **OPTIONS.get(task, {}), **options)


@pytest.fixture(scope="module", params=HEADS)
def estimator(request):
    return estimator_of(request.param)


def test_the_same_arguments_come_first():
    for task in HEADS:
        package = package_of(task)
        assert list(inspect.signature(package.Estimator).parameters)[:5] == [
            "model", "weights", "dtype", "device", "executor"
        ]  # fmt: skip
        assert next(iter(inspect.signature(package.Estimator.__call__).parameters.values())).name == "self"
        assert {"images", "stages"} <= inspect.signature(package.Estimator.batch).parameters.keys()
        first = list(inspect.signature(package.evaluate).parameters)[:5]
        assert first[1:] == ["dataset", "limit", "progress", "stages"]


def test_a_batch_is_any_iterable_of_pictures(estimator):
    answers = estimator.batch(picture for picture in (PICTURE, Image.fromarray(PICTURE)))
    assert len(answers) == 2 and estimator.batch([]) == []


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_a_batch_may_be_one_array_or_tensor(estimator, kind):
    pictures = np.stack([PICTURE, PICTURE])
    stacked = pictures if kind == "array" else torch.from_numpy(pictures).permute(0, 3, 1, 2)
    assert len(estimator.batch(stacked)) == 2


@pytest.mark.parametrize(
    "single",
    ["photo.jpg", b"bytes", PICTURE, torch.from_numpy(PICTURE), Image.fromarray(PICTURE)],
    ids=["path", "bytes", "array", "tensor", "PIL"],
)
def test_a_single_picture_is_no_batch(estimator, single):
    with pytest.raises(TypeError, match="batch takes a list of pictures; this is a single one"):
        estimator.batch(single)


class Broken:
    """The outputs of `module`, one value of which is replaced."""

    device = torch.device("cpu")

    def __init__(self, module, value):
        self.module, self.value = module, value

    def __call__(self, images):
        outputs = self.module(images)
        several = not isinstance(outputs, torch.Tensor)
        outputs = [output.clone() for output in outputs] if several else outputs.clone()
        (outputs[-1] if several else outputs)[0, 1] = self.value
        return outputs


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
def test_a_network_that_gives_nan_or_infinity_is_named(estimator, monkeypatch, value):
    network = estimator.network
    monkeypatch.setattr(network, "module", Broken(network.module, value))
    with pytest.raises(RuntimeError, match=f"{network.name} gave NaN or infinite values: compute in float32"):
        estimator(PICTURE)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"dtype": "float32"}, TypeError, "dtype is a torch.dtype such as torch.bfloat16, not 'float32'"),
        ({"device": "abacus"}, ValueError, "'abacus' is no device: use cpu, cuda or cuda:1"),
        ({"device": "cuda:99"}, ValueError, "there is no device cuda:99: torch .* sees . GPUs here"),
    ],
    ids=["dtype", "device", "gpu"],
)
@pytest.mark.parametrize("task", HEADS)
def test_options_that_cannot_be_get_one_sentence(task, options, error, sentence):
    with pytest.raises(error, match=sentence):
        estimator_of(task, **options)


def test_devices_are_known_by_their_names():
    assert known_device("cpu") == known_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["meta", torch.device("meta"), "fpga", "maia"], ids=repr)
def test_devices_that_are_not_here_are_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' is no device that torch .* has here: use cpu, cuda or cuda:1"):
        known_device(name)

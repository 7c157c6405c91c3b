"""What passes between the CPU and a GPU in a pose request, on a device that is only pretended."""

import pytest
import torch
from torch import nn

from hrnet_fast.tasks.pose import PoseEstimator
from hrnet_fast.tasks.pose.detector import TorchvisionDetector
from tests.tasks.pose.pretended import DEVICE, Device, OnDevice

NAME = "hrnet_w18_small.pose_coco_256x192"
BOXES = [(10.0 + 9 * k, 20.0, 60.0 + k, 90.0, 0.5) for k in range(5)]


class Network:
    """Heatmaps that are the crops, sampled where heatmaps lie."""

    input_size, name, num_outputs, random_weights = (256, 192), "sampler", 17, False

    def __init__(self, device):
        self.device = device

    def __call__(self, images):
        assert images.device == self.device
        return images[:, :1, ::4, ::4].expand(-1, 17, -1, -1)


def estimator(device, **options):
    made = PoseEstimator(NAME, batch_size=2, **options)
    made.network = Network(device)
    return made


def pictures(count):
    return [torch.randint(0, 256, (3, 120 + k, 161), dtype=torch.uint8) for k in range(count)]


def keypoints(people):
    return [torch.cat((person.keypoints, person.scores[:, None]), 1) for person in people]


@pytest.mark.parametrize("flip_test", [True, False], ids=["flip", "once"])
def test_a_picture_goes_up_once_and_only_keypoints_come_back(flip_test):
    picture = pictures(1)[0]
    want = estimator(torch.device("cpu"), flip_test=flip_test)(picture, BOXES)
    pose = estimator(DEVICE, flip_test=flip_test)
    with Device() as device:
        people = pose(picture, BOXES)
    assert device.uploads == [((120, 161, 3), torch.uint8)]
    assert device.downloads == [((count, 17, 3), torch.float32) for count in (2, 2, 1)]
    assert not any(isinstance(person.keypoints, OnDevice) for person in people)
    assert all(torch.equal(a, b) for a, b in zip(keypoints(people), keypoints(want), strict=True))


def test_pictures_of_a_batch_come_back_together():
    given, boxes = pictures(5), [BOXES[:1], [], BOXES[1:2], BOXES[:3], BOXES[3:4]]
    want = estimator(torch.device("cpu")).batch(given, boxes)
    pose = estimator(DEVICE)
    with Device() as device:
        found = pose.batch(given, boxes)
    assert [shape for shape, _ in device.uploads] == [(120 + k, 161, 3) for k in (0, 2, 3, 4)]
    assert [shape for shape, _ in device.downloads] == [(2, 17, 3), (2, 17, 3), (2, 17, 3)]
    for ours, theirs in zip(found, want, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(keypoints(ours), keypoints(theirs), strict=True))


def test_a_picture_that_is_there_already_is_not_copied():
    pose = estimator(DEVICE)
    with Device() as device:
        pose(OnDevice(pictures(1)[0]), BOXES)
    assert device.uploads == []


class Detected(nn.Module):
    """One person in any picture, as torchvision's detectors say it."""

    def forward(self, images):
        found = {"boxes": [[10.0, 20, 70, 110]], "labels": [1], "scores": [0.5]}
        return [{name: torch.tensor(values).to(images[0].device) for name, values in found.items()}]


def test_the_crops_are_cut_out_of_the_picture_that_the_detector_looked_at():
    pose = estimator(DEVICE, detector=TorchvisionDetector(Detected(), DEVICE, 0.25))
    with Device() as device:
        (person,) = pose(pictures(1)[0])
    assert [shape for shape, dtype in device.uploads if dtype == torch.uint8] == [(120, 161, 3)]
    assert (person.box, person.box_source) == ((10, 20, 60, 90), "detector")


@pytest.mark.parametrize("on_device", [False, True], ids=["cpu", "device"])
def test_a_detector_of_the_caller_gets_the_picture_where_it_was_given(on_device):
    seen = []
    pose = estimator(DEVICE, detector=lambda picture: seen.append(picture.device) or BOXES[:1])
    picture = pictures(1)[0]
    with Device():
        pose(OnDevice(picture) if on_device else picture)
    assert seen == [DEVICE if on_device else torch.device("cpu")]


@pytest.mark.parametrize("flip_test", [True, False], ids=["flip", "once"])
@pytest.mark.parametrize("method", ["dark", "udp"])
def test_other_decoders_bring_back_keypoints_alone_too_and_keep_their_constants_there(method, flip_test):
    pose = estimator(DEVICE, decode=method, flip_test=flip_test)
    pose_on_cpu = estimator(torch.device("cpu"), decode=method, flip_test=flip_test)
    picture = pictures(1)[0]
    for _ in range(2):
        with Device() as device:
            people = pose(picture, BOXES[:1])
        assert device.downloads == [((1, 17, 3), torch.float32)]
    assert device.uploads == [((120, 161, 3), torch.uint8)]
    assert torch.equal(keypoints(people)[0], keypoints(pose_on_cpu(picture, BOXES[:1]))[0])


def test_a_batch_of_several_pieces_is_asked_once_whether_it_is_finite(monkeypatch):
    network = PoseEstimator(NAME).network
    monkeypatch.setattr(network, "module", lambda images: images[:, :1])
    with Device() as device:
        network(OnDevice(torch.rand(7, 3, 8, 8)))
    assert device.downloads == [((), torch.bool)]

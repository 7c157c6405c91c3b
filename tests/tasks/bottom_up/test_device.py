"""What passes between the CPU and a GPU in a bottom-up request, on a device that is only pretended."""

import pytest
import torch

from hrnet_fast.tasks.bottom_up import refine
from tests.tasks.bottom_up.planted import Planted, people, seeing
from tests.tasks.pose.pretended import DEVICE, Device, OnDevice

SIZE = (48, 64)


class There(Planted):
    """Gives its maps on the device."""

    device = DEVICE

    def __call__(self, images):
        assert images.device == DEVICE
        return [OnDevice(output) for output in super().__call__(images)]


@pytest.mark.parametrize("blocks", [1, 1000], ids=["everywhere", "in blocks"])
@pytest.mark.parametrize("options", [{}, {"flip_test": False, "scales": (1, 2)}, {"project": False}], ids=str)
def test_candidates_and_missing_keypoints_come_back_alone(monkeypatch, options, blocks):
    monkeypatch.setattr(refine, "_LOOKED_AT", blocks)
    planted, tags = people(1, 3, *SIZE, absent=0.3), [0.0, 3.0, 7.0]
    picture = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    want = seeing(planted, tags, SIZE, **options)(picture)
    there = seeing(planted, tags, SIZE, **options)
    there.network = There(planted, tags, SIZE)
    with Device() as device:
        found = there(picture)
    assert len(found) == len(want) >= 3
    for ours, theirs in zip(found, want):
        assert not isinstance(ours.keypoints, OnDevice)
        assert torch.equal(ours.keypoints, theirs.keypoints) and torch.equal(ours.scores, theirs.scores)
    assert device.uploads[0] == ((*SIZE, 3), torch.uint8)
    views = 1 if options.get("flip_test") is False else 2
    assert device.downloads[0] == ((17, 30, 5 + views), torch.float32)
    assert max(shape[0] for shape, _ in device.downloads[1:]) <= 17 * len(found)  # a line for each missing keypoint
    assert all(len(shape) < 3 and torch.Size(shape).numel() < 10_000 for shape, _ in device.downloads[1:])

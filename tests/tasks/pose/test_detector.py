"""The torchvision detector: its boxes as ours, and what it says when its weights are not to be had."""

from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models import detection

from hrnet_fast.tasks.pose import PoseEstimator, torchvision_detector


class Found(nn.Module):
    """What torchvision's detectors give: boxes as corners, of all categories."""

    def forward(self, images):
        assert images[0].shape == (3, 6, 8) and 0.99 < images[0].max() <= 1
        return [{
            "boxes": torch.tensor([[1.0, 2, 4, 6], [0, 0, 5, 5], [0, 0, 8, 6], [3, 3, 3, 9]]),
            "labels": torch.tensor([1, 3, 1, 1]),
            "scores": torch.tensor([0.875, 0.99, 0.25, 0.9]),
        }]  # fmt: skip


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setattr(detection, "fasterrcnn_resnet50_fpn", lambda **options: Found())


PICTURE = torch.full((6, 8, 3), 255, dtype=torch.uint8)


@pytest.mark.parametrize(("threshold", "scores"), [(0.5, [0.875]), (0.1, [0.875, 0.25])])
def test_people_alone_are_found_with_area_and_score(found, threshold, scores):
    boxes = torchvision_detector(threshold=threshold)(PICTURE)
    assert boxes[0].tolist() == [1, 2, 3, 4, 0.875]
    assert boxes[:, 4].tolist() == scores


def test_the_estimator_asks_it(found):
    people = PoseEstimator("hrnet_w18_small.pose_coco_256x192", detector="torchvision")(PICTURE.numpy())
    assert [(person.box, person.box_source) for person in people] == [((1, 2, 3, 4), "detector")]


def test_a_failed_download_says_what_to_fetch(monkeypatch):
    def fail(**options):
        raise URLError("no route to host")

    monkeypatch.setattr(detection, "fasterrcnn_resnet50_fpn", fail)
    with pytest.raises(RuntimeError, match=r"could not download .*: fetch https://.*\.pth and give the file") as caught:
        torchvision_detector()
    assert "\n" not in str(caught.value)


def test_unfit_files_get_one_sentence(found, tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(FileNotFoundError, match=r"there is no file .*weights.pth with the detector's weights"):
        torchvision_detector(path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(RuntimeError, match=r"weights.pth has no weights of fasterrcnn_resnet50_fpn: "):
        torchvision_detector(path)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(RuntimeError, match=r"weights.pth has no weights of fasterrcnn_resnet50_fpn: ") as caught:
        torchvision_detector(path)
    assert "\n" not in str(caught.value)

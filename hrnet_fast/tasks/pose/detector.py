"""Person boxes from a torchvision detector."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..optional import torchvision_detection

PERSON = 1  # COCO's category of people, which is also the label that torchvision's COCO detectors give them


@dataclass(frozen=True, eq=False)
class TorchvisionDetector:
    """What `torchvision_detector` makes: it takes a picture (H, W, 3) uint8 from any device to its own."""

    model: nn.Module
    device: torch.device
    threshold: float

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> Tensor:  # (N, 5) float64 x, y, width, height, score; on its device
        image = picture.to(self.device).permute(2, 0, 1).float() / 255
        found = self.model([image])[0]
        boxes, scores = found["boxes"].double(), found["scores"]
        chosen = (found["labels"] == PERSON) & (scores >= self.threshold) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        corners = boxes[chosen]
        return torch.cat((corners[:, :2], corners[:, 2:] - corners[:, :2], scores[chosen, None].double()), 1)


def torchvision_detector(
    weights: str | os.PathLike[str] | None = None,
    *,
    device: torch.device | str | None = None,
    threshold: float = 0.5,
) -> TorchvisionDetector:
    """Faster R-CNN with a ResNet-50 pyramid: a function from a picture (H, W, 3) uint8 to people's boxes (N, 5).

    weights: a file of torchvision's `fasterrcnn_resnet50_fpn`; None lets torchvision download its own to its cache.
    threshold: boxes with a lower score are left out. Boxes are x, y, width, height in pixels, and the score.
    Errors: RuntimeError if torchvision is missing, if the download fails, or if the file does not fit;
        FileNotFoundError.
    """
    detection = torchvision_detection()
    if weights is None:
        kind = detection.FasterRCNN_ResNet50_FPN_Weights.DEFAULT
        try:
            model = detection.fasterrcnn_resnet50_fpn(weights=kind)
        except OSError as error:
            raise RuntimeError(
                f"torchvision could not download the weights of its detector ({error}): fetch {kind.url} and give the "
                "file, detector=torchvision_detector(file)"
            ) from None
    else:
        model = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        try:
            model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {os.fspath(weights)} with the detector's weights") from None
        except (RuntimeError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).partition("\n")[0].rstrip(".:")
            raise RuntimeError(f"{os.fspath(weights)} has no weights of fasterrcnn_resnet50_fpn: {reason}") from None
    home = torch.empty(0, device=device or "cpu").device  # with its index, where "cuda" has none
    return TorchvisionDetector(model.eval().to(home), home, threshold)

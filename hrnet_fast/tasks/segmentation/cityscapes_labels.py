"""The labels of Cityscapes (cityscapesScripts: helpers/labels.py, evaluation/evalPixelLevelSemanticLabeling.py)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Label:
    """id: in labelIds images, and on the evaluation server. instance_size: mean pixels of an instance in the training
    set, by which iIoU weighs (avgClassSize); None for classes without instances."""

    name: str
    id: int
    category: str
    colour: tuple[int, int, int]
    instance_size: float | None = None


# In the order of their train ids, 0 to 18, which is the order of the network's outputs (lib/datasets/cityscapes.py).
TRAINED = (
    Label("road", 7, "flat", (128, 64, 128)),
    Label("sidewalk", 8, "flat", (244, 35, 232)),
    Label("building", 11, "construction", (70, 70, 70)),
    Label("wall", 12, "construction", (102, 102, 156)),
    Label("fence", 13, "construction", (190, 153, 153)),
    Label("pole", 17, "object", (153, 153, 153)),
    Label("traffic light", 19, "object", (250, 170, 30)),
    Label("traffic sign", 20, "object", (220, 220, 0)),
    Label("vegetation", 21, "nature", (107, 142, 35)),
    Label("terrain", 22, "nature", (152, 251, 152)),
    Label("sky", 23, "sky", (70, 130, 180)),
    Label("person", 24, "human", (220, 20, 60), 3462.4756337644),
    Label("rider", 25, "human", (255, 0, 0), 3930.4788056518),
    Label("car", 26, "vehicle", (0, 0, 142), 12794.0202738185),
    Label("truck", 27, "vehicle", (0, 0, 70), 27855.1264367816),
    Label("bus", 28, "vehicle", (0, 60, 100), 35732.1511111111),
    Label("train", 31, "vehicle", (0, 80, 100), 67583.7075812274),
    Label("motorcycle", 32, "vehicle", (0, 0, 230), 6298.7200839748),
    Label("bicycle", 33, "vehicle", (119, 11, 32), 4672.3249222261),
)

LAST_ID = 33  # ids 0 to 33 occur in labelIds images; those that are not trained are ignored

CATEGORIES = tuple(dict.fromkeys(label.category for label in TRAINED))


def train_ids() -> Tensor:  # (256,) uint8
    """A table from label ids to train ids: 255 for what is ignored, 254 for what is no id of Cityscapes."""
    table = torch.full((256,), 254, dtype=torch.uint8)
    table[: LAST_ID + 1] = table[255] = 255  # 255 is -1, the license plates, in 8 bits
    for train_id, label in enumerate(TRAINED):
        table[label.id] = train_id
    return table


def label_ids() -> Tensor:  # (256,) uint8
    """A table from train ids to label ids, as the evaluation server wants them; 0 (unlabeled) for the rest."""
    table = torch.zeros(256, dtype=torch.uint8)
    for train_id, label in enumerate(TRAINED):
        table[train_id] = label.id
    return table

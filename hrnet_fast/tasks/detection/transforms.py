"""Pictures as a detector takes them: scaled, normalised, padded.

mmdetection's configs/_base_/datasets/coco_detection.py and mmdet/models/data_preprocessors/data_preprocessor.py.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..pixels import check_aspect, normalise, resize_in_8_bits

MULTIPLE = 32  # of which the input's sides are (pad_size_divisor)
LEAST = 64  # what a side must have for the coarsest map of the pyramid to have a pixel


def fit(image: Tensor, short_side: int, long_side: int) -> tuple[Tensor, tuple[int, int]]:
    """A picture (H, W, 3) uint8 as large as both limits allow, its shape kept.

    Returns (1, 3, h, w) float32 normalised, padded below and on the right with the mean colour, and the picture's
    (height, width) there. Errors: ImageError where one side is over 100 times as long as the other.
    """
    height, width = image.shape[:2]
    check_aspect(height, width, "for a detector")
    scale = min(long_side / max(height, width), short_side / min(height, width))
    size = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))  # mmcv/image/geometric.py: imrescale
    below, right = (max(LEAST - side, -side % MULTIPLE) for side in size)
    return F.pad(normalise([resize_in_8_bits(image, size)]), (0, right, 0, below)), size

"""Golden outputs of the official implementations, and the rule that fills the weights that gave them.

Each file of tests/data/golden was made by running the official model code (its `source`, with commit and config) in
float64. The weights depend on key and shape alone, so none are stored; the input is `RandomState(0).standard_normal`.
"""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

SMALL = 1 << 24  # parameters; the values of such networks are kept, since many tests fill the same one
FOLDER = Path(__file__).parent / "data" / "golden"
MODELS = {
    "cls_w18": "hrnet_w18.cls_in1k",
    "cls_w18_small_v1": "hrnet_w18_small.cls_in1k",
    "cls_w30": "hrnet_w30.cls_in1k",
    "cls_w48": "hrnet_w48.cls_in1k",
    "landmark_w18_300w": "hrnet_w18.landmark_300w",
    "landmark_w18_wflw": "hrnet_w18.landmark_wflw",
    "pose_w32_coco_256x192": "hrnet_w32.pose_coco_256x192",
    "pose_w32_mpii_256x256": "hrnet_w32.pose_mpii_256x256",
    "pose_w48_coco_384x288": "hrnet_w48.pose_coco_384x288",
    "pose_higher_w32_coco_512x512": "hrnet_w32.pose_higher_coco_512x512",
    "seg_ocr_w48_cityscapes": "hrnet_w48.seg_ocr_cityscapes",
    "seg_w48_cityscapes": "hrnet_w48.seg_cityscapes",
    "seg_w48_lip": "hrnet_w48.seg_lip",
}


def golden(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


def golden_input(data: dict) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(0).standard_normal(data["input_shape"]))


def fill(model: nn.Module) -> nn.Module:
    """Give every tensor values that depend on its key and shape alone."""
    values = _kept if sum(p.numel() for p in model.parameters()) < SMALL else _values
    state = {key: values(key, tuple(tensor.shape), tensor.dtype) for key, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    return model


def _values(key: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    random = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        values = np.zeros(shape)
    elif len(shape) >= 2:
        values = random.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        values = random.uniform(0.5, 1.5, shape)
    elif key.endswith(("running_mean", "bias")):
        values = random.standard_normal(shape) * 0.1
    else:
        values = random.uniform(0.3, 0.7, shape)
    return torch.from_numpy(np.asarray(values)).to(dtype)


_kept = lru_cache(maxsize=1000)(_values)


def golden_error(data: dict, index: int, output: torch.Tensor) -> float:
    """Relative L2 over the values that the file keeps of output `index`."""
    kept = data["outputs"][index]
    want = np.array(kept["value"])
    got = output.double().flatten()[torch.tensor(kept["index"])].numpy()
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))

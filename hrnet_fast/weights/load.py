"""Weights into and out of a model, whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .convert import to_layout
from .errors import CheckpointError
from .files import read_checkpoint, write_checkpoint
from .match import COUNTER, Match, match_weights
from .report import LoadReport


def load_weights(
    model: nn.Module, source: str | os.PathLike[str] | Mapping[str, Any], *, strict: bool = True
) -> LoadReport:
    """Loads a checkpoint of any HRNet code base into a model and says what was mapped, dropped and left.

    model: a model with the official keys (`create_model`; official, timm and simple-HRNet models have them too).
    source: a file (.pth, .pt, .pth.tar, .safetensors) or a state dict; its layout is found from the keys: official with
        or without `model.` / `module.`, timm, mmpose 0.x and 1.x, mmsegmentation, mmdetection, mmpretrain,
        simple-HRNet, HigherHRNet; each also inside a module of the user's own, whose name for it stands before every
        key, as in Lightning's checkpoints. simple-HRNet and timm's full classifiers have the official keys, and are
        reported as such.
    strict: every backbone weight has to be there, and of the same task every head weight too. A checkpoint of another
        task gives its backbone; the model's head keeps its values and is reported. With False, weights that are not
        in the checkpoint, and head weights of another shape, keep the model's values.
    Values are copied exactly into the model's dtype and device; a change of dtype is noted. num_batches_tracked may be
    missing. The model is written only after everything was checked.
    Errors: CheckpointError (a ValueError), one sentence, for an unreadable file, another width or variant (names it),
    another network, misfits, the pyramid of an FCOS detector for one of stride 1, missing weights, NaN or Inf in a
    weight (names its keys); TypeError for wrong arguments.
    """
    own = _own_state(model)
    name = getattr(getattr(model, "config", None), "name", None) or type(model).__name__
    given = "the given state dict" if isinstance(source, Mapping) else f"'{source}'"
    state = read_checkpoint(source)
    match = match_weights(own, state, name, given, strict)
    if strict and any(key.endswith(_FCOS) for key in state) and "neck.fpn_conv.0.weight" in match.pairs:
        _check_strides(model, given)
    ready = {key: _fitting(match, key, value, own[key], given) for key, value in match.pairs.items()}
    model.load_state_dict(ready, strict=False)  # copies; an optimized module packs the weights anew
    file = "a state dict" if isinstance(source, Mapping) else Path(source).name
    notes = (*match.notes, *_casts(match, own), *_zero_biases(match))
    return LoadReport(name, file, match.layout.name, tuple(ready), match.dropped, match.missing, notes)


def save_weights(model: nn.Module, path: str | os.PathLike[str], layout: str = "official") -> None:
    """Writes a model's weights as another code base names them.

    model: from `create_model`; path: .pth, .pt, .pth.tar or .safetensors; written whole or not at all.
    layout: official, official_seg, official_det, timm, simple_hrnet, mmpose, mmpose0, mmseg, mmdet, mmpretrain or
        mm_backbone; the tensors are the model's own, but for biases that the layout does not have (see `to_layout`).
    Errors: CheckpointError for a layout that has no place for this head and for an unwritable path.
    """
    config = getattr(model, "config", None)
    if config is None:
        raise TypeError(f"save_weights needs a model from create_model, not {type(model).__name__}")
    write_checkpoint(path, to_layout(_own_state(model), layout, config))


_FCOS = "bbox_head.conv_centerness.weight"  # what only FCOS has of mmdetection's detectors on a pyramid


def _check_strides(model: nn.Module, given: str) -> None:
    """mmdetection's FCOS has HRFPN(stride=2) (its configs fcos_hrnetv2p*), of which the keys do not tell."""
    if model.get_submodule("neck.fpn_conv.0").stride == (1, 1):
        raise CheckpointError(
            f"{given} is of an FCOS detector, whose pyramid has convolutions of stride 2 and the same keys, but the "
            "model's have stride 1: set `conv.stride = (2, 2)` for each conv of model.neck.fpn_conv, or load it as it "
            "is by strict=False"
        )


def _own_state(model: nn.Module) -> dict[str, Tensor]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"the model is a {type(model).__name__}, not an nn.Module")
    own = model.state_dict()
    if unallocated := next((key for key, value in own.items() if value.is_meta), None):
        raise CheckpointError(f"the model has no storage ({unallocated!r} is on the meta device); use to_empty()")
    return own


def _fitting(match: Match, key: str, value: Tensor, own: Tensor, given: str) -> Tensor:
    """`value` in the dtype of `own`, checked to hold numbers."""
    origin = match.origin.get(key, key)
    where = f"{origin!r}" if origin == key else f"{origin!r} (for {key!r})"
    if value.is_floating_point() != own.is_floating_point() and not key.endswith(COUNTER):
        raise CheckpointError(f"{given} has {_name(value.dtype)} values in {where}, the model's are {_name(own.dtype)}")
    cast = value.to(own.dtype)
    # A sum is finite only if every term is; it costs a fraction of testing each.
    if own.is_floating_point() and not cast.sum().isfinite() and not cast.isfinite().all():
        if value.isfinite().all():
            raise CheckpointError(f"{given} has values in {where} that overflow the model's {_name(own.dtype)}")
        kind = "NaN" if value.isnan().any() else "Inf"
        raise CheckpointError(f"{given} has {kind} in {where}: the checkpoint is damaged or its training diverged")
    return cast


def _casts(match: Match, own: Mapping[str, Tensor]) -> list[str]:
    changes = Counter((v.dtype, own[k].dtype) for k, v in match.pairs.items() if v.dtype != own[k].dtype)
    return [f"{n} tensors were cast from {_name(a)} to {_name(b)}" for (a, b), n in changes.items()]


def _zero_biases(match: Match) -> list[str]:
    added = [key for key in match.pairs if key not in match.origin]
    if not added:
        return []
    return [f"{len(added)} biases that the {match.layout.name} layout does not have were set to zero ({added[0]}, ...)"]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

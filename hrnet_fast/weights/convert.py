"""State dicts from official keys to a layout's and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hrnet_fast.models import HRNetConfig

from .errors import CheckpointError
from .layouts import LAYOUTS, Layout, fill_pattern, layout_for, layout_names


def to_layout(state: Mapping[str, Tensor], layout: str, config: HRNetConfig) -> dict[str, Tensor]:
    """Official keys -> the keys of `layout`, the same tensors (not copies), in the same order.

    Where the layout's convolutions have no bias (mmpretrain, mmseg heads), an official bias b moves into the norm
    behind it, running_mean - b: the same function, and the same bits wherever b is zero.
    Errors: CheckpointError for an unknown layout, one that has no place for config.head, or keys without a place in it.
    """
    row = layout_for(_known(layout), config.head)
    if row is None:
        heads = sorted({head for row in LAYOUTS if row.name == layout for head in row.heads})
        able = f"it holds {' and '.join(heads)} models" if heads else "it is read only"
        raise CheckpointError(f"layout {layout!r} has no place for a {config.head} model such as {config.name}: {able}")
    folded = _without_biases(state, row)
    converted: dict[str, Tensor] = {}
    for key, value in folded.items():
        theirs = row.their_key(key)
        if theirs is None:
            raise CheckpointError(f"layout {layout!r} has no place for the key {key!r} of {config.name}")
        converted[theirs] = value
    return converted


def from_layout(state: Mapping[str, Tensor], layout: str, config: HRNetConfig) -> dict[str, Tensor]:
    """The keys of `layout` -> official keys, the same tensors; keys that name nothing in the network are left out.

    Convolutions that have no bias in the layout get zeros. Errors: CheckpointError for an unknown layout.
    """
    rows = [row for row in LAYOUTS if row.name == _known(layout)]
    fitting = [row for row in rows if config.head in row.heads] or [row for row in rows if row.matches(state)] or rows
    return translate(state, fitting[0])[0]


def translate(state: Mapping[str, Tensor], row: Layout) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(official key -> tensor, official key -> their key); biases that the layout lacks are zeros with no their key."""
    origin = {ours: key for key in state if (ours := row.official_key(key)) is not None}
    official = {ours: state[theirs] for ours, theirs in origin.items()}
    for conv, norm in _pairs(official, row):
        if f"{conv}.bias" not in official:
            official[f"{conv}.bias"] = torch.zeros_like(official[f"{norm}.running_mean"])
    return official, origin


def _without_biases(state: Mapping[str, Tensor], row: Layout) -> dict[str, Tensor]:
    folded = dict(state)
    for conv, norm in _pairs(state, row):
        bias = folded.pop(f"{conv}.bias", None)
        if bias is not None:
            folded[f"{norm}.running_mean"] = state[f"{norm}.running_mean"] - bias
    return folded


def _pairs(official: Mapping[str, Tensor], row: Layout) -> list[tuple[str, str]]:
    """(convolution, norm) names in `official` whose convolution has no bias in the layout."""
    found = []
    for conv, norm in row.biasless:
        weight = f"{conv}.weight"
        for key in official:
            conv_name, norm_name = fill_pattern(conv, weight, key), fill_pattern(norm, weight, key)
            if conv_name is not None and norm_name is not None and f"{norm_name}.running_mean" in official:
                found.append((conv_name, norm_name))
    return found


def _known(layout: str) -> str:
    if layout not in layout_names():
        raise CheckpointError(f"layout {layout!r} is not known; choose one of {', '.join(layout_names())}")
    return layout

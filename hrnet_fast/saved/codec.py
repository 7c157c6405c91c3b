"""Graphs as JSON: numbers, names of functions and keys of tensors, nothing that a reader would execute.

A tuple is a list; anything else that JSON lacks is an object of one entry, its kind and its parts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from typing import Any

import torch

from ..models.config import Architecture, HRNetConfig
from ..plan.graph import Call, Constant, Convolution, Graph, Node, Norm, Param, Ref, Resize, Transposed, constant
from ..plan.tracing.constants import DTYPE
from .batches import PerImage

_CLASSES = {
    kind.__name__: kind
    for kind in (
        Graph, Node, Ref, Param, Norm, Resize, Convolution, Transposed, Call, PerImage, HRNetConfig, Architecture
    )
}  # fmt: skip
_TORCH = {"dtype": torch.dtype, "layout": torch.layout, "memory_format": torch.memory_format}
_MAPS, _DEVICE = "of the maps", "of the network"
_CONTAINERS: tuple[type[Any], ...] = (dict, OrderedDict, list, tuple)
_NESTING = {kind.__name__: kind for kind in _CONTAINERS}


class NotSaved(ValueError):
    """Something has no place in a file."""


def encode(value: Any) -> Any:
    """What JSON takes, of a graph, a part of one or a config. Raises NotSaved for anything else."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, tuple):
        return [encode(part) for part in value]
    if isinstance(value, Constant):
        return {"Constant": [encode(value.call)]}
    if type(value) in _CLASSES.values():
        own = {field.name: getattr(value, field.name) for field in fields(value) if not _is_default(value, field)}
        return {type(value).__name__: {name: encode(part) for name, part in own.items()}}
    if isinstance(value, slice):
        return {"slice": [encode(part) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"Ellipsis": []}
    if value is DTYPE:
        return {"dtype": [_MAPS]}
    if isinstance(value, torch.device):
        return {"device": [_DEVICE]}
    for name, kind in _TORCH.items():
        if isinstance(value, kind):
            return {name: [str(value).removeprefix("torch.")]}
    raise NotSaved(f"a {type(value).__name__} has no place in a file")


def decode(value: Any) -> Any:
    """The reverse of `encode`. Raises NotSaved for anything that it does not write."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return tuple(map(decode, value))
    if not isinstance(value, dict) or len(value) != 1:
        raise NotSaved("an object without a kind")
    ((name, given),) = value.items()
    try:
        if name in _CLASSES:
            return _CLASSES[name](**{part: decode(each) for part, each in given.items()})
        return _made(name, [decode(part) for part in given])
    except (TypeError, AttributeError) as error:  # other parts than it has
        raise NotSaved(f"a {name} with other parts than one has") from error


def decode_config(value: Any) -> HRNetConfig | None:
    """The reverse of `encode` for a config or None. Raises NotSaved as `decode` does."""
    config = decode(value)
    if not isinstance(config, (HRNetConfig, type(None))):
        raise NotSaved(f"a config that is a {type(config).__name__}")
    return config


def _is_default(value: Any, field: Field[Any]) -> bool:
    own = getattr(value, field.name)
    return type(own) is type(field.default) and own == field.default


def _made(name: str, given: list[Any]) -> Any:
    if name == "Constant":
        return constant(*given)
    if name == "slice":
        return slice(*given)
    if name == "Ellipsis":
        return Ellipsis
    if (name, given) == ("dtype", [_MAPS]):
        return DTYPE
    if (name, given) == ("device", [_DEVICE]):
        return torch.device("meta")  # any: what plays the graph puts its own there
    found = getattr(torch, str(given[0]), None) if name in _TORCH and given else None
    if name not in _TORCH or not isinstance(found, _TORCH[name]):
        raise NotSaved(f"a {name} that is not known")
    return found


def encode_nesting(nested: Any) -> Any:
    """How results nest, as JSON: places of tensors, None, and lists, tuples and dicts of them."""
    if nested is None or isinstance(nested, int):
        return nested
    kind = type(nested)
    if _NESTING.get(kind.__name__) is not kind:
        raise NotSaved(f"the results are nested in a {kind.__name__}")
    if isinstance(nested, dict):
        if any(type(key) not in (str, int) for key in nested):
            raise NotSaved("the results are in a dict whose keys are neither text nor whole numbers")
        return {kind.__name__: [[key, encode_nesting(part)] for key, part in nested.items()]}
    return {kind.__name__: [encode_nesting(part) for part in nested]}


def decode_nesting(nested: Any, results: Sequence[Any] | Mapping[int, Any]) -> Any:
    """Results, by their places, nested as `encode_nesting` has written."""
    if nested is None or type(nested) is int:
        return None if nested is None else results[nested]
    ((name, inside),) = nested.items()
    if issubclass(_NESTING[name], dict):
        return _NESTING[name]((key, decode_nesting(part, results)) for key, part in inside)
    return _NESTING[name](decode_nesting(part, results) for part in inside)

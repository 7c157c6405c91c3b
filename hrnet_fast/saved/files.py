"""Saving and loading networks: a .safetensors file, in whose header stands what the network computes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..api import OptimizedModule, known_device, optimize
from ..engine import op
from ..engine.examples import Example, examples_of, inputs_of
from ..models import HRNetConfig
from ..plan import held_tensors, named_tensors, names_in, unwrap
from ..plan.tracing.failure import what
from ..plan.warn import warn
from ..weights import CheckpointError
from ..weights.files import read_safetensors, read_texts, write_checkpoint
from .calls import SavedCall, decode_call, encode_call, trace_call
from .codec import NotSaved, decode_config, encode
from .network import SavedNetwork

SUFFIX = ".safetensors"
_KEY = "hrnet_fast"  # in the file's header
_FORMAT = 1


def save(model: nn.Module, path: str | os.PathLike[str], *examples: Example) -> None:
    """Write a network to a file that `load` runs wherever hrnet_fast is installed, without the code of its model.

    model: an optimized module, or any module that `optimize` takes; read in evaluation mode, not changed.
    path: a .safetensors file. It holds the parameters and buffers under the model's own keys, so that `load_weights`
        and others read it as a checkpoint, and in its header the operations as they were traced; never code.
    examples: one for each size that the network is to take: an input, a shape such as (1, 3, 256, 192), or a tuple of
        these; without any, the size that `optimize` plans first, or all sizes of a network that was loaded. A batch
        of any size is taken where the network does the same for 1, 2, 3 and 67 images; where it does not, that of the
        example alone, and a warning says so. Another names weights whose numbers became part of the operations.
    Raises PlanError, naming what was not understood, if the model cannot be planned for an example; CheckpointError for
    a path that cannot be written or has another suffix; ValueError for weights without data and for results in other
    containers than lists, tuples and dicts; TypeError if `model` is no module, or an example holds
    anything but tensors and shapes.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"save takes an nn.Module, not {type(model).__name__}")
    path = Path(path)
    if not is_saved(path):
        raise CheckpointError(f"cannot write '{path}': a network is saved to a {SUFFIX} file")
    plain = unwrap(model)
    try:
        calls = [trace_call(plain, *inputs_of(example)) for example in examples or examples_of(plain)]
        about = {
            "format": _FORMAT,
            "token": model._token if isinstance(model, OptimizedModule) else None,
            "config": encode(_config(plain, calls[0])),
            "calls": [encode_call(call) for call in calls],
        }
    except NotSaved as error:
        raise ValueError(f"{type(plain).__name__} cannot be saved: {error}") from error
    held = held_tensors(plain).keys() & {name for call in calls for name in names_in(call.graph.nodes)}
    tensors = _tensors(plain, held)
    about |= {**_keys(plain, held), "same": _other_names(plain, tensors)}
    for call in calls:
        if not call.any_batch:
            warn(f"the network is saved for inputs of {call} alone: its operations depend on the batch")
    if read := sorted({key for call in calls for key in call.read}):
        warn(
            f"the network asks for numbers of {', '.join(map(repr, read))} when it is called: those of now are "
            "part of the saved operations, whatever weights are loaded later"
        )
    write_checkpoint(path, tensors, {_KEY: json.dumps(about, separators=(",", ":"))})


def load(
    path: str | os.PathLike[str], *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None,
    executor: str = "auto", exact: bool = False,
) -> OptimizedModule:  # fmt: skip
    """The optimized network of a file that `save` wrote.

    It has the saved module's keys, and computes what that did, for the sizes that it was saved for. Its `original`
    plays the same operations with torch, so `verify`, gradients and pickling work as for any other; programs of
    `torch.export` that call the saved module call this one.
    device: where it is to run. dtype, executor, exact: as `optimize` takes them.
    Raises CheckpointError for a file that is missing, damaged, of weights alone, or of another version; PlanError where
    its operations contradict each other, or one makes more than 2**28 numbers; ValueError for a device that is not
    here; and what `optimize` raises.
    """
    device = known_device(device)
    network, token = _read(path)
    fast = optimize(network.to(device), dtype=dtype, executor=executor, exact=exact, example=network.saved_inputs()[0])
    if token is not None:
        fast._token = op.register(fast, token)
    return fast


def is_saved(name: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a file to load, not of a model."""
    return os.fspath(name).endswith(SUFFIX)


def read_network(path: str | os.PathLike[str]) -> SavedNetwork:
    """The plain module of a file that `save` wrote, on the CPU. Raises CheckpointError as `load` does."""
    return _read(path)[0]


def read_config(path: str | os.PathLike[str]) -> HRNetConfig | None:
    """The config of a saved network, without its tensors; None for one of another code base. Raises as `load` does."""
    return _understood(path, lambda: decode_config(_header(path, read_texts(path))["config"]))


def _read(path: str | os.PathLike[str]) -> tuple[SavedNetwork, str | None]:
    """A network, and the token of the module that it was saved from."""
    tensors, texts = read_safetensors(path)

    def made() -> tuple[SavedNetwork, str | None]:
        about = _header(path, texts)
        own = {key: tensor.clone() for key, tensor in tensors.items()}  # aligned: torch's last bits depend on it
        named = {key: own[about["same"].get(key, key)] for key in about["keys"]}
        calls = [decode_call(call) for call in about["calls"]]
        network = SavedNetwork(named, calls, about["buffers"], about["hidden"], decode_config(about["config"]))
        if not network.saved_inputs():
            raise NotSaved("no inputs that it takes")
        if not isinstance(about["token"], (str, type(None))):
            raise NotSaved("a token that is no text")
        return network, about["token"]

    return _understood(path, made)


def _header(path: str | os.PathLike[str], texts: Mapping[str, str]) -> dict[str, Any]:
    if _KEY not in texts:
        raise CheckpointError(
            f"'{path}' holds weights, but not what a network computes, as hrnet_fast.save writes it: create the model "
            "and give it the weights with load_weights"
        )
    about = json.loads(texts[_KEY])
    if about["format"] != _FORMAT:
        raise CheckpointError(
            f"'{path}' was written by another version of hrnet_fast (format {about['format']!r}, here {_FORMAT}): "
            "use that version, or save it again"
        )
    return about


def _understood(path: str | os.PathLike[str], read: Callable[[], Any]) -> Any:
    try:
        return read()
    except CheckpointError:
        raise
    except Exception as error:  # a forged header may say anything
        raise CheckpointError(f"'{path}' is damaged: its header is not that of a network ({what(error)})") from error


def _config(plain: nn.Module, call: SavedCall) -> HRNetConfig | None:
    """That of our own models, with the size of the images that the network is saved for."""
    config, shapes = getattr(plain, "config", None), call.shapes(call.images)
    if not isinstance(config, HRNetConfig):
        return None
    return replace(config, input_size=shapes[0][2:]) if len(shapes) == 1 and len(shapes[0]) == 4 else config


def _tensors(plain: nn.Module, held: Collection[str]) -> dict[str, Tensor]:
    """By key, each once. held: the plain attributes that the network computes with; others are none of it."""
    own = {*dict(plain.named_parameters()), *dict(plain.named_buffers()), *held}
    tensors = {key: tensor for key, tensor in named_tensors(plain).items() if key in own}
    if meta := next((key for key, tensor in tensors.items() if tensor.is_meta), None):
        raise ValueError(f"{meta!r} is on the meta device, without numbers to save: load weights first")
    return tensors


def _keys(plain: nn.Module, held: Collection[str]) -> dict[str, list[str]]:
    """All keys in the order of the state dict, and which are of buffers, and hidden from it; held: as in `_tensors`."""
    buffers = [*(name for name, _ in plain.named_buffers(remove_duplicate=False)), *sorted(held)]
    every = dict.fromkeys([*(name for name, _ in plain.named_parameters(remove_duplicate=False)), *buffers])
    shown = dict.fromkeys(key for key in plain.state_dict() if key in every)  # a module may show more
    hidden = [name for name in every if name not in shown]
    return {"keys": [*shown, *hidden], "buffers": buffers, "hidden": hidden}


def _other_names(plain: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Keys under which a tensor is there once more, as tied weights are: by each, the key that it is saved under."""
    first = {id(tensor): key for key, tensor in tensors.items()}
    every = (*plain.named_parameters(remove_duplicate=False), *plain.named_buffers(remove_duplicate=False))
    return {key: first[id(tensor)] for key, tensor in every if key not in tensors}

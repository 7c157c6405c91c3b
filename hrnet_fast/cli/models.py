"""Models and images for the commands, made as cheaply as each command allows."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from hrnet_fast import create_model
from hrnet_fast.api import known_device
from hrnet_fast.models import HighResolutionNet
from hrnet_fast.models.config import Options
from hrnet_fast.saved import SavedNetwork, is_saved, read_network
from hrnet_fast.weights import LoadReport
from hrnet_fast.weights.random import fill_weights, without_init

from .arguments import UsageError, model_name

_RANDOM = "random weights (He's initialisation), as no --weights FILE was given"


Model = SavedNetwork | HighResolutionNet  # of a file, or of a name


def options(args: argparse.Namespace) -> Options:
    """Changes of the config that the command line asks for."""
    return Options(num_outputs=args.outputs) if args.outputs else {}


def shape_model(args: argparse.Namespace) -> Model:
    """The model on the meta device: shapes without data, of a named one at once."""
    if _is_file(args):
        return _saved(args).to("meta")
    with torch.device("meta"):
        return _uninitialised(args)


def zero_model(args: argparse.Namespace) -> Model:
    """The model on --device, a named one with all tensors zero: enough to plan and pack, not to compare numbers."""
    if _is_file(args):
        return _saved(args).to(device(args))
    model = _uninitialised(args)
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model.to(device(args))


def filled_model(args: argparse.Namespace) -> Model:
    """The model on --device, a named one with random weights, the same in every run."""
    model = _saved(args) if _is_file(args) else fill_weights(_uninitialised(args))
    return model.to(device(args))


def weights_from(args: argparse.Namespace) -> str:
    """Where the weights are from: a file, or "random"."""
    return getattr(args, "weights", None) or (model_name(args) if _is_file(args) else "random")


def told(args: argparse.Namespace, loaded: LoadReport | None) -> str:
    """The weights in words."""
    return str(loaded or (f"the weights of {model_name(args)}" if _is_file(args) else _RANDOM))


def own_shape(args: argparse.Namespace, model: Model) -> tuple[int, int, int]:
    """(C, H, W) of the images that the model is for. UsageError for one that takes something else."""
    shape = model.image_shape if isinstance(model, SavedNetwork) else (3, *model.config.input_size)
    if shape is None:
        raise UsageError(f"{model_name(args)} takes something else than a batch of images: use Python")
    return shape


def image_shape(args: argparse.Namespace, model: Model) -> tuple[int, int, int, int]:
    """(N, C, H, W) by --batch and --size, which is the model's own if it is not given."""
    channels, *size = own_shape(args, model)
    return (args.batch, channels, *(args.size or size))


def images(args: argparse.Namespace, model: Model) -> Tensor:
    """Random float32 images (N, C, H, W) as normalised photographs are: mean 0, deviation 1."""
    shape = image_shape(args, model)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device(args))


def device(args: argparse.Namespace) -> torch.device:
    """The device of --device; the CPU for commands without it. Raises ValueError for one that is not here."""
    return known_device(getattr(args, "device", None) or "cpu")


def torch_dtype(args: argparse.Namespace) -> torch.dtype:
    return getattr(torch, args.dtype)


def _is_file(args: argparse.Namespace) -> bool:
    return is_saved(model_name(args))


def _saved(args: argparse.Namespace) -> SavedNetwork:
    if args.outputs:
        raise UsageError(f"--outputs belongs to a named model; {model_name(args)} has the outputs it was saved with")
    return read_network(model_name(args))


def _uninitialised(args: argparse.Namespace) -> HighResolutionNet:
    with without_init():
        return create_model(model_name(args), **options(args)).eval()

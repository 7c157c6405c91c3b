"""Models and images for the commands, made as cheaply as each command allows."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor, nn

from hrnet_fast import create_model, load_weights
from hrnet_fast.tasks.network import known_device
from hrnet_fast.weights import LoadReport
from hrnet_fast.weights.random import fill_weights, without_init

from .arguments import model_name

RANDOM = "random weights (He's initialisation), as no --weights FILE was given"


def options(args: argparse.Namespace) -> dict[str, Any]:
    """Changes of the config that the command line asks for."""
    return {"num_outputs": args.outputs} if args.outputs else {}


def shape_model(args: argparse.Namespace) -> nn.Module:
    """The named model on the meta device: shapes without data, at once."""
    with torch.device("meta"), without_init():
        return create_model(model_name(args), **options(args)).eval()


def zero_model(args: argparse.Namespace) -> nn.Module:
    """The named model on --device with all tensors zero: enough to plan and pack, not to compare numbers."""
    model = _uninitialised(args)
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model.to(device(args))


def random_model(args: argparse.Namespace) -> nn.Module:
    """The named model on --device with random weights, the same in every run."""
    return fill_weights(_uninitialised(args)).to(device(args))


def weighted_model(args: argparse.Namespace) -> tuple[nn.Module, LoadReport | None]:
    """The named model with the weights of --weights and the report of loading them, or with random ones."""
    model = random_model(args)
    return model, load_weights(model, args.weights) if args.weights else None


def images(args: argparse.Namespace, model: nn.Module) -> Tensor:
    """Random float32 images (N, 3, H, W) as normalised photographs are: mean 0, deviation 1."""
    size = args.size or model.config.input_size
    return torch.randn(args.batch, 3, *size, generator=torch.Generator().manual_seed(0)).to(device(args))


def device(args: argparse.Namespace) -> torch.device:
    """The device of --device; the CPU for commands without it. Raises ValueError for one that is not here."""
    return known_device(getattr(args, "device", None) or "cpu")


def torch_dtype(args: argparse.Namespace) -> torch.dtype:
    return getattr(torch, args.dtype)


def _uninitialised(args: argparse.Namespace) -> nn.Module:
    with without_init():
        return create_model(model_name(args), **options(args)).eval()

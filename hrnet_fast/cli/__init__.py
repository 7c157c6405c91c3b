"""The command `hrnet-fast`. Commands import torch when they run, so that --help and --version need not wait for it."""

from .main import main

__all__ = ["main"]

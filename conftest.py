"""Lets an uninstalled checkout find `hrnet_fast.kernels`, whose files live in the top-level folder `kernels/`."""

import importlib.util
from pathlib import Path

import hrnet_fast

if importlib.util.find_spec("hrnet_fast.kernels") is None:
    hrnet_fast.__path__.append(str(Path(__file__).resolve().parent))

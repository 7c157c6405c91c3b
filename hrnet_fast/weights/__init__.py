"""Checkpoints in and out, for every code base that has an HRNet."""

from .convert import from_layout, to_layout
from .errors import CheckpointError
from .files import read_checkpoint, write_checkpoint
from .layouts import detect_layout, layout_names
from .load import load_weights, save_weights
from .report import LoadReport

__all__ = [
    "CheckpointError", "LoadReport", "detect_layout", "from_layout", "layout_names", "load_weights", "read_checkpoint",
    "save_weights", "to_layout", "write_checkpoint",
]  # fmt: skip

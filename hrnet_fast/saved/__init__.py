"""A network in a file: its weights and what it computes, to be run where its own code is not installed."""

from .files import load, save
from .network import SavedNetwork

__all__ = ["SavedNetwork", "load", "save"]

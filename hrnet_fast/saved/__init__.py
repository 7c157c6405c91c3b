"""A network in a file: its weights and what it computes, to be run where its own code is not installed."""

from .files import is_saved, load, read_config, read_network, save
from .network import SavedNetwork

__all__ = ["SavedNetwork", "is_saved", "load", "read_config", "read_network", "save"]

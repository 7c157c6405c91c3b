"""From a live module, written by anyone, to a graph: its own forward runs once, on tensors without data."""

from .trace import trace

__all__ = ["trace"]

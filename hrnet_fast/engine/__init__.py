"""Executors that play plans, and the module a user holds."""

from .module import OptimizedModule

__all__ = ["OptimizedModule"]

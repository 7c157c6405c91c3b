"""From a live module, written by anyone, to a graph: its own forward runs once, on tensors without data.

trace       the way in: runs the forward, and makes the graph of what was recorded
modules     what runs in the module's place, and its tensors by key, those of plain attributes (held) among them; batch
            norms that are written out become ordinary ones (frozen)
recorder    sees every torch function, and has a method of its own or of its bases write it down: layers, several (of
            functions with several results), calls (of pure functions), and values, which knows what tensors stand for
functions   those that are known, and arguments, what they are asked for
constants   tensors that are made of parameters and numbers alone
shapes      of results, without asking torch
failure     where in the network planning ends, and why
"""

from .trace import trace

__all__ = ["trace"]

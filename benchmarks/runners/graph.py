"""A call as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .base import Call

_WARM_UP = 3  # calls before the capture: lazy libraries, cuDNN's choice of algorithms


def captured(call: Call) -> tuple[Callable[[], None], object]:
    """The replay of a CUDA graph of `call`, and the outputs that every replay overwrites.

    `call` must not itself replay a graph or wait for the GPU. Errors: torch's RuntimeError where it cannot be captured.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = call()
    return graph.replay, outputs

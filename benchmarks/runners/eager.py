"""The plain module, as a user has it before any optimisation, and as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .base import Call, Runner

_WARM_UP = 3  # calls before the capture: lazy libraries, cuDNN's choice of algorithms


class Plain(Runner):
    name = "plain"
    settings = "the module as it is, NCHW"
    memory_format = torch.contiguous_format

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        module = model.to(dtype).to(memory_format=self.memory_format)
        x = x.contiguous(memory_format=self.memory_format)
        return lambda: module(x)


class PlainChannelsLast(Plain):
    name = "plain channels_last"
    settings = "the module and its input in channels_last"
    memory_format = torch.channels_last


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


class GraphedEager(PlainChannelsLast):
    name = "CUDA-graphed eager"
    settings = "the channels_last module, captured once in a CUDA graph"
    devices = ("cuda",)
    replay: Callable[[], None]  # the bare graph, once built

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        self.replay, outputs = captured(super().build(model, x, dtype))

        def run() -> object:
            self.replay()
            return outputs

        return run

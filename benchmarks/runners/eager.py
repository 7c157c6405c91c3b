"""The plain module, as a user has it before any optimisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Call, Runner


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


class GraphedEager(PlainChannelsLast):
    name = "CUDA-graphed eager"
    settings = "the channels_last module, captured once in a CUDA graph"
    devices = ("cuda",)

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        eager = super().build(model, x, dtype)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                eager()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = eager()

        def replay() -> object:
            graph.replay()
            return outputs

        return replay

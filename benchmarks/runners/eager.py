"""The plain module, as a user has it before any optimisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .base import Call, Runner
from .graph import captured


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
    replay: Callable[[], None]  # the bare graph, once built

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        self.replay, outputs = captured(super().build(model, x, dtype))

        def run() -> object:
            self.replay()
            return outputs

        return run

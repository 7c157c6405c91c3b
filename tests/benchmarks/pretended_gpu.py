"""Stand-ins for a GPU: tensors on the CPU that say they are on it, events and launches that keep torch's rules."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class OnCuda(TorchFunctionMode):
    """Puts what is meant for the GPU on the CPU, and lets it say otherwise."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function == torch.Tensor.device.__get__:
            return CUDA
        to_cpu = lambda value: CPU if isinstance(value, torch.device) else value  # noqa: E731
        return function(*map(to_cpu, args), **{key: to_cpu(value) for key, value in (kwargs or {}).items()})


class Gpu:
    """What the stand-ins share."""

    def __init__(self):
        self.capturing, self.sleeps, self.broken = False, 0, False


class Event:
    def __init__(self, enable_timing=False):
        assert enable_timing
        self.at = None

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        assert self.at is not None

    def elapsed_time(self, later):
        return (later.at - self.at) * 1e3


def conv_relu(x, weight, bias, stride, padding, dilation, groups):
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups).relu()


def conv_add_relu(x, weight, z, alpha, bias, stride, padding, dilation, groups):
    return (F.conv2d(x, weight, bias, stride, padding, dilation, groups) + alpha * z).relu()


class EmptyKernel:
    def __init__(self, state):
        self.state = state

    def __getitem__(self, grid):
        def launch(out, value, DEPENDENT, num_warps, launch_pdl=False):
            assert launch_pdl == DEPENDENT and grid == tuple(out.shape)
            out.fill_(value)

        return launch

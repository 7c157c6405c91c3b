"""The native executor in bfloat16, on the tiles of AMX."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from hrnet_fast import kernels

from ...numerics import relative_l2, within_tolerance
from ...plan import make_plan, named_tensors
from ..cpu.conv_kernels import Kernel
from ..cpu.pack import Packed
from ..cpu.pack_amx import pack_amx
from ..cpu.pages import Allocator
from .native import NativeExecutor


def unsupported() -> str | None:
    """Why bfloat16 cannot be played on AMX tiles here, or None."""
    extension = kernels.extension()
    if extension.module is None:
        return extension.reason
    if extension.module.cpu_isa_bfloat16() != "amx":
        return (
            "the native bfloat16 kernels need AMX tiles, which the CPU or the operating system does not offer, or "
            "HRNET_FAST_CPU_ISA forbids"
        )
    return None if agrees("amx") else "the AMX tiles of this CPU gave wrong results for a small network"


@cache
def agrees(isa: str) -> bool:
    """Whether small convolutions come out right, played once per process: these kernels are new to real hardware."""
    shapes = ((24, 40, 3, 1), (40, 33, 3, 2), (33, 48, 1, 1), (48, 17, 3, 1))
    made: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}
    convs = [nn.utils.skip_init(nn.Conv2d, i, o, k, stride=s, padding=k // 2, **made) for i, o, k, s in shapes]
    net = nn.Sequential(*convs).eval()
    with torch.no_grad():
        for tensor in (*net.parameters(), x := torch.empty(1, 24, 13, 11, **made)):
            tensor.copy_(
                torch.linspace(-99, 99, tensor.numel(), **made).sin().view_as(tensor) / tensor[0].numel() ** 0.5
            )
        exact, plain = net.double()(x.double()), net.bfloat16()(x.bfloat16())
        (result,) = AmxExecutor(named_tensors(net), isa).prepare(make_plan(net, x))([x])
    return within_tolerance(relative_l2(result, exact), relative_l2(plain, exact))


class AmxExecutor(NativeExecutor):
    """Plays plans with maps and weights in bfloat16 and sums in float32, by direct convolutions on AMX tiles.

    Its numbers were checked under emulated tile instructions; its speed on a CPU with AMX has not been measured yet.
    tensors: the module's parameters and buffers by key. isa: "amx", or "amx-emulated", which tests use where there is
    no AMX. Buffers, threads, and plans that do not suit it: as in `NativeExecutor`.
    """

    def __init__(self, tensors: Mapping[str, Tensor], isa: str = "amx"):
        super().__init__(tensors, why="bfloat16", exact=True, isa=isa)

    def _pack(self, weight: Tensor, bias: Tensor | None, kernel: Kernel, memory: Allocator, joined: bool) -> Packed:
        packed = pack_amx(weight, bias, joined)
        return Packed(memory.copy(packed.weights), memory.copy(packed.bias))

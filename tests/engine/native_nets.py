"""Small networks for the native kernels, their exact results, and what plays them by one kernel and instruction set."""

from __future__ import annotations

import copy
import shutil
import subprocess

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrnet_fast import kernels
from hrnet_fast.engine.cpu.compiled import DTYPES, CompiledPlan
from hrnet_fast.engine.cpu.conv_kernels import Kernel
from hrnet_fast.engine.cpu.pack import Packed, pack
from hrnet_fast.engine.cpu.winograd import transform_matrices, transform_weight
from hrnet_fast.engine.interpret import Interpreter
from hrnet_fast.numerics import TOLERANCE_FACTOR, compare_outputs, relative_l2
from hrnet_fast.plan import Conv, make_plan, named_tensors
from hrnet_fast.plan.fold import fold
from hrnet_fast.weights.random import fill_weights

EXTENSION = kernels.extension().module


def refusal(isa: str) -> str | None:
    """Why there are no kernels of an instruction set here, or None."""
    if EXTENSION is None:
        return "the C++ extension was not built"
    try:
        EXTENSION.CpuProgram(isa)
    except ValueError as error:
        return str(error)
    return None


def disassembled() -> str:
    """The extension's instructions; skips the test where nothing can list them."""
    tool = shutil.which("objdump") or shutil.which("llvm-objdump")
    if EXTENSION is None or tool is None:
        pytest.skip("nothing was built, or neither objdump nor llvm-objdump is here")
    return subprocess.run([tool, "-d", EXTENSION.__file__], capture_output=True, text=True, check=True).stdout


def params(*isas: str) -> list:
    """The instruction sets, skipped where this CPU has no kernels for them."""
    refused = {isa: refusal(isa) for isa in isas}
    return [
        pytest.param(isa, marks=pytest.mark.skipif(why is not None, reason=str(why)), id=isa)
        for isa, why in refused.items()
    ]


by_isa = pytest.mark.parametrize("isa", params("avx512", "avx2", "portable"))
BFLOAT16 = "avx512-bf16-emulated" if refusal("avx512-bf16") else "avx512-bf16"
by_any_isa = pytest.mark.parametrize("isa", params("avx512", "avx2", "portable", BFLOAT16))
by_kernel = pytest.mark.parametrize("m", [0, 2, 3, 4], ids=["direct", "F(2x2)", "F(3x3)", "F(4x4)"])
ENOUGH = 2000  # results for an error that does not hang on the draw
EPILOGUES = ["none", "relu", "residual", "first", "two", "nearest", "bilinear", "aligned"]


class Net(nn.Module):
    """One convolution, and what may stand in its epilogue."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, epilogue: str = "none"):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)
        self.side = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)
        self.epilogue = epilogue

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        match self.epilogue:
            case "none":
                return y
            case "relu":
                return y.relu()
            case "residual":
                return (y + self.side(x)).relu()
            case "first":
                return y.relu() + self.side(x).relu()
            case "two":
                side = self.side(x)
                return (y + side + resized(F.avg_pool2d(side, 2, 2, ceil_mode=True), y, "bilinear")).relu()
            case mode:
                low = self.side(F.avg_pool2d(x, 2, 2, ceil_mode=True))
                return (y + resized(low, y, mode)).relu()


class Sums(nn.Module):
    """Maps of several sizes, added or put side by side at the size of the first. weight: for its dtype alone."""

    def __init__(self, mode: str, concat: bool):
        super().__init__()
        self.mode, self.concat, self.weight = mode, concat, nn.Parameter(torch.ones(1))

    def forward(self, *maps: Tensor) -> Tensor:
        maps = [maps[0], *(resized(x, maps[0], self.mode) for x in maps[1:])]
        return torch.cat(maps, 1) if self.concat else sum(maps[1:], maps[0]).relu()


def resized(x: Tensor, like: Tensor, mode: str) -> Tensor:
    align = None if mode == "nearest" else mode == "aligned"
    how = "nearest" if mode == "nearest" else "bilinear"
    return F.interpolate(x, size=like.shape[-2:], mode=how, align_corners=align)


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 1 by F(m x m, 3x3) in plain torch operations, all of them in the input's dtype.

    In bfloat16 patches, weights and results are rounded, each after its transform, and what is between is float32.
    """

    def __init__(self, conv: nn.Conv2d, m: int):
        super().__init__(conv.in_channels, conv.out_channels, 3, 1, 1)
        self.load_state_dict(conv.state_dict())
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        m, (height, width), dtype = self.m, x.shape[2:], x.dtype
        x = x.float() if dtype == torch.bfloat16 else x
        result, _, patch = (matrix.to(x.dtype) for matrix in transform_matrices(m))
        padded = F.pad(x, (1, 1 - width % -m, 1, 1 - height % -m))
        patches = padded.unfold(2, m + 2, m).unfold(3, m + 2, m)  # [N, C, tiles down, tiles across, m + 2, m + 2]
        moved = torch.einsum("ij,ncyxjk,lk->ncyxil", patch, patches, patch).to(dtype).to(x.dtype)
        weight = transform_weight(self.weight, m).to(x.dtype)
        products = torch.einsum("ncyxil,ocil->noyxil", moved, weight)
        tiles = torch.einsum("ij,noyxjk,lk->noyxil", result, products, result)
        n, outputs, down, across = tiles.shape[:4]
        whole = tiles.transpose(3, 4).reshape(n, outputs, down * m, across * m)[:, :, :height, :width]
        return (whole + self.bias.view(-1, 1, 1)).to(dtype)


def poison_arena(compiled: CompiledPlan) -> None:
    """Fills the arena of the calls so far with NaN, but for the borders that it keeps from call to call."""
    (buffers,) = compiled.pool.free

    def place(value: int) -> Tensor:
        elements = compiled.arena.places[value]
        return buffers.tensors[0][elements.start : elements.stop]

    with torch.inference_mode():
        buffers.tensors[0].fill_(torch.nan)
        for value in compiled.arena.kept:
            place(value).zero_()
        for item in compiled.plan.items():  # as a call writes them
            if item.out not in compiled.arena.kept:
                place(item.out).zero_()
            buffers.views[item.out].fill_(torch.nan)


class Player:
    """`net` for inputs like these, compiled for one instruction set, every convolution that can be by one kernel.

    m: of Winograd's F(m x m, 3x3), 0 for direct convolutions. group: tiles transformed together.
    """

    def __init__(self, net: nn.Module, inputs: tuple[Tensor, ...], isa: str, m: int = 0, group: int = 12):
        tensors, traits = named_tensors(net), EXTENSION.cpu_isa_traits(isa)

        def kernel_of(item: Conv) -> Kernel:
            same = (item.conv.kernel, item.conv.stride) == ((3, 3), (1, 1))
            return Kernel(m, group) if m and same else Kernel()

        def weights_of(item: Conv, kernel: Kernel) -> Packed:
            weight, bias = fold(item, tensors, torch.float32)
            return pack(weight, bias, traits.lanes, kernel, per_word=traits.per_word)

        torch_plays = Interpreter(tensors, DTYPES[traits.element_bytes], torch.device("cpu")).play
        self.compiled = CompiledPlan(make_plan(net, *inputs), kernel_of, weights_of, torch_plays, None, isa=isa)

    def __call__(self, *inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.compiled.run(inputs)[0]

    def poison(self, *inputs: Tensor) -> None:
        """Fills the arena with NaN, and by inputs of NaN the scratch memory of the kernels too."""
        for _ in range(2):
            self(*(torch.full_like(x, torch.nan) for x in inputs))
            poison_arena(self.compiled)


def check(net: nn.Module, inputs: tuple[Tensor, ...], isa: str, m: int = 0, group: int = 12) -> None:
    """Asserts that the error against float64 is at most twice that of plain torch in the dtype of `isa`'s maps.

    One layer by F(3x3) or F(4x4) errs up to three times as much as torch's convolution, whoever computes it, so that
    only deep networks may use them (`allowed` in hrnet_fast/engine/cpu/conv_kernels.py); so does F(2x2) with one or two
    input channels, and any of them in bfloat16.
    These are held against the same algorithm in plain torch operations. Errors are taken over random draws, three or
    more, played one after another in poisoned memory.
    """
    fill_weights(net)
    dtype = DTYPES[EXTENSION.cpu_isa_traits(isa).element_bytes]
    net, inputs = net.to(dtype), tuple(x.to(dtype) for x in inputs)
    exact = copy.deepcopy(net).double()
    plain = copy.deepcopy(net)
    if m > 2 or (m == 2 and (net.conv.in_channels < 3 or dtype == torch.bfloat16)):
        plain.conv, plain.side = (WinogradConv2d(conv, m).to(dtype) for conv in (net.conv, net.side))
    player = Player(net, inputs, isa, m, group)
    player.poison(*inputs)
    with torch.inference_mode():
        count = max(3, ENOUGH // plain(*inputs).numel())
        draws = [tuple(torch.randn_like(x) for x in inputs) for _ in range(count)]
        want = [exact(*(x.double() for x in draw)) for draw in draws]
        errors = [
            relative_l2([plain(*(x.to(memory_format=layout) for x in draw)) for draw in draws], want)
            for layout in (torch.contiguous_format, torch.channels_last)
        ]
    report = compare_outputs([player(*draw) for draw in draws], want)
    assert report.error <= TOLERANCE_FACTOR * max(errors), f"{report}; torch errs {max(errors):.2e}"

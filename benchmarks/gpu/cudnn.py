"""cuDNN on the shapes of HRNet's convolutions: alone, with pointwise kernels behind it, and with them fused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cases import DTYPES
from benchmarks.gpu.jobs import Emit, Job
from benchmarks.gpu.timing import BRIEF, DRY, Effort, isolated
from benchmarks.gpu.workloads import WORKLOADS
from benchmarks.runners.eager import captured
from hrnet_fast.engine.gpu.cudnn_settings import cudnn_set
from hrnet_fast.numerics import within_tolerance

REPEATS = 20  # convolutions in a graph


@dataclass(frozen=True)
class ConvShape:
    """A convolution in NHWC with padding kernel // 2; channels as padded to a multiple of 8; height, width: input's."""

    batch: int
    inputs: int
    outputs: int
    height: int
    width: int
    kernel: int = 3
    stride: int = 1
    dtype: str = "float16"

    def __str__(self) -> str:
        kind = f"{self.kernel}x{self.kernel}" + (f"/{self.stride}" if self.stride > 1 else "")
        size = f"{self.height}x{self.width}"
        short = {"float16": "f16", "bfloat16": "bf16", "float32": "f32"}[self.dtype]
        return f"b{self.batch} {self.inputs}>{self.outputs} {size} {kind} {short}"

    @property
    def flops(self) -> int:
        pixels = self.batch * -(-self.height // self.stride) * -(-self.width // self.stride)
        return 2 * pixels * self.outputs * self.inputs * self.kernel**2


@cache
def shapes(dry_run: bool) -> tuple[ConvShape, ...]:
    """The block convolutions of every branch of every workload; of W32 pose also the stem's, layer1's and one stride-2;
    and its branches in bfloat16."""
    if dry_run:
        return (ConvShape(1, 8, 8, 6, 4, dtype="float32"), ConvShape(1, 8, 16, 7, 5, stride=2, dtype="float32"))
    found: dict[ConvShape, None] = {}
    for workload in WORKLOADS:
        width = int(workload.model.partition(".")[0].removeprefix("hrnet_w"))
        for branch in range(4):
            channels = -(-(width << branch) // 8) * 8
            size = (workload.height // 4 >> branch, workload.width // 4 >> branch)
            found[ConvShape(workload.batch, channels, channels, *size)] = None
    first = WORKLOADS[0]
    for branch in range(4):
        size = (first.height // 4 >> branch, first.width // 4 >> branch)
        found[ConvShape(1, 32 << branch, 32 << branch, *size, dtype="bfloat16")] = None
    for batch in (1, 64):
        found[ConvShape(batch, 64, 64, 128, 96, stride=2)] = None
        found[ConvShape(batch, 64, 256, 64, 48, kernel=1)] = None
        found[ConvShape(batch, 256, 64, 64, 48, kernel=1)] = None
        found[ConvShape(batch, 32, 64, 64, 48, stride=2)] = None
    return tuple(found)


def jobs(dry_run: bool) -> Iterator[Job]:
    """One child for all shapes."""
    names = tuple(f"cuDNN {shape}" for shape in shapes(dry_run))
    yield Job("cudnn", names, tuple(map(str, range(len(names)))), None, dry_run, expected_s=20, limit_s=60)


def run(job: Job, emit: Emit, device: torch.device) -> None:
    for name, index in job.rows():
        emit({"name": name, **measure(shapes(job.dry_run)[int(index)], device, DRY if job.dry_run else BRIEF)})


def measure(shape: ConvShape, device: torch.device, effort: Effort) -> dict:
    """Microseconds of each form, and its TFLOP/s; each form is checked first against float64 and its unfused twin.

    A form that fails says why under `reasons`; a wrong one is not timed.
    """
    operands = _operands(shape, device)
    with cudnn_set(benchmark=False):
        wanted = {kind: _exact(operands, shape, kind) for kind in ("conv", "relu", "add relu")}
    row: dict[str, object] = {"status": "ok", "unit": "us", "forms": {}, "reasons": {}}
    errors: dict[str, float] = {}
    for name, (kind, form) in _forms(operands, shape, device).items():
        try:
            error = _error(form(), wanted[kind])
            if not isfinite(error) or not within_tolerance(error, errors.setdefault(kind, error)):
                unfused = f", where the unfused form has {errors[kind]:.1e}" if kind in errors else ""
                raise AssertionError(f"relative L2 error {error:.1e}{unfused}")
            row["forms"][name] = round(_time(form, device, effort), 3)
        except Exception as error:  # which forms a shape and a cuDNN support is what is asked
            row["reasons"][name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"[:160]
    if not row["forms"]:
        return {**row, "status": "failed", "reason": "; ".join(row["reasons"].values())}
    best = min(row["forms"].values())
    row["tflops"] = round(shape.flops / best / 1e6, 1)
    row["errors"] = errors
    return row


def _error(got: Tensor, want: Tensor) -> float:
    """Relative L2, reckoned where the tensors are, as some have fifty million elements."""
    return float((got.double() - want).norm() / want.norm())


def _time(form: Callable[[], Tensor], device: torch.device, effort: Effort) -> float:
    def many() -> None:
        for _ in range(REPEATS):
            form()

    if device.type != "cuda":
        return isolated(form, device, effort)["p50_us"]
    form()
    return isolated(captured(many)[0], device, effort, head_start=True)["p50_us"] / REPEATS


Operands = tuple[Tensor, Tensor, Tensor, Tensor]  # x [N, C, H, W], weight [K, C, kh, kw], bias [K], term as the result


def _operands(shape: ConvShape, device: torch.device) -> Operands:
    """Random numbers such that the results are of the order of one; maps and weights in channels_last."""
    torch.manual_seed(0)
    dtype = DTYPES[shape.dtype]
    x = torch.randn(shape.batch, shape.inputs, shape.height, shape.width, device=device)
    weight = torch.randn(shape.outputs, shape.inputs, shape.kernel, shape.kernel, device=device)
    weight *= (shape.inputs * shape.kernel**2) ** -0.5
    out = (-(-shape.height // shape.stride), -(-shape.width // shape.stride))
    term = torch.randn(shape.batch, shape.outputs, *out, device=device)
    bias = torch.randn(shape.outputs, device=device).to(dtype)
    x, weight, term = (t.to(dtype).contiguous(memory_format=torch.channels_last) for t in (x, weight, term))
    return x, weight, bias, term


def _exact(operands: Operands, shape: ConvShape, kind: str) -> Tensor:
    x, weight, bias, term = (t.double() for t in operands)
    y = F.conv2d(x, weight, bias, shape.stride, shape.kernel // 2)
    return y if kind == "conv" else F.relu(y) if kind == "relu" else F.relu(y + term)


def _forms(operands: Operands, shape: ConvShape, device: torch.device) -> dict[str, tuple[str, Callable[[], Tensor]]]:
    """Name -> what it computes, and a call of it; the unfused form of each comes first."""
    x, weight, bias, term = operands
    stride, padding, one = [shape.stride] * 2, [shape.kernel // 2] * 2, [1, 1]
    conv = (x, weight, bias, stride, padding)
    forms: dict[str, tuple[str, Callable[[], Tensor]]] = {
        "conv": ("conv", lambda: F.conv2d(*conv)),
        "conv, relu": ("relu", lambda: F.conv2d(*conv).relu_()),
        "conv, add, relu": ("add relu", lambda: F.conv2d(*conv).add_(term).relu_()),
    }
    if device.type == "cuda":
        fused = (stride, padding, one, 1)
        forms["fused relu"] = ("relu", lambda: torch.cudnn_convolution_relu(x, weight, bias, *fused))
        forms["fused add relu"] = (
            "add relu", lambda: torch.cudnn_convolution_add_relu(x, weight, term, 1.0, bias, *fused)
        )  # fmt: skip
    return forms

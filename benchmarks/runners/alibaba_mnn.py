"""MNN's CPU backend, through torch.onnx.export."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from .base import Call, Runner

_CONVERT = "import sys, _tools; _tools.mnnconvert(sys.argv)"  # MNN's own command also sends a log to its makers
_WINOGRAD_LEVEL = 3  # of MNN's HintMode: WINOGRAD_MEMORY_LEVEL, which its Python module has no name for


class Mnn(Runner):
    name = "MNN"
    settings = (
        "torch.onnx.export, its Winograd's convolutions with the smallest tiles (WINOGRAD_MEMORY_LEVEL=1; by default "
        "they err some 80 times as much as torch)"
    )
    devices = ("cpu",)
    chooses_by_cpu = True
    needs = ("MNN", "onnx", "onnxscript")

    def refusal(self, dtype: torch.dtype, device: torch.device) -> str | None:
        if dtype != torch.float32:
            return "compared in float32 alone"
        return super().refusal(dtype, device)

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        from MNN import expr
        from MNN import nn as mnn

        cores = {"backend": "CPU", "precision": "high", "power": "high", "numThread": torch.get_num_threads()}
        runtime = mnn.create_runtime_manager((cores,))
        runtime.set_hint(_WINOGRAD_LEVEL, 1)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "model.onnx"), Path(folder, "model.mnn")
            torch.onnx.export(model, (x,), source, dynamo=True, external_data=False, verbose=False, input_names=["x"])
            arguments = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target)]
            subprocess.run([sys.executable, "-c", _CONVERT, *arguments], capture_output=True, check=True)
            net = mnn.load_module_from_file(str(target), ["x"], [], runtime_manager=runtime)
        self._tell = lambda: f"its kernels of version {version('MNN')}"
        image = expr.const(x.numpy(), list(x.shape), expr.NCHW)

        def infer() -> object:
            return [expr.convert(output, expr.NCHW).read() for output in net.onForward([image])]

        return infer

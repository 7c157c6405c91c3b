"""ONNX Runtime's CPU provider, through torch.onnx.export."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from .base import Call, Runner


class OnnxRuntime(Runner):
    name = "ONNX Runtime"
    settings = "torch.onnx.export, all graph optimisations, CPU provider"
    devices = ("cpu",)
    chooses_by_cpu = True
    needs = ("onnxruntime", "onnx", "onnxscript")

    def refusal(self, dtype: torch.dtype, device: torch.device) -> str | None:
        if dtype != torch.float32 and device.type == "cpu":
            return f"its CPU provider has no {str(dtype).removeprefix('torch.')} convolution"
        return super().refusal(dtype, device)

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = torch.get_num_threads()
        # its threads spin during a run, which is fastest, and stop after it, so that the next runner is not disturbed
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, verbose=False)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = {session.get_inputs()[0].name: x.numpy()}
        return lambda: session.run(None, inputs)

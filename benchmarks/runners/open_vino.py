"""OpenVINO's CPU plugin, converted from the torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Call, Runner

_PRECISION = {torch.float32: ("f32", "FP32"), torch.bfloat16: ("bf16", "BF16"), torch.float16: ("f16", "FP16")}


class OpenVino(Runner):
    name = "OpenVINO"
    settings = "torch.export, convert_model, latency hint, one stream, precision hint as the dtype, float32 in and out"
    devices = ("cpu",)
    needs = ("openvino",)

    def refusal(self, dtype: torch.dtype, device: torch.device) -> str | None:
        reason = super().refusal(dtype, device)
        if reason is None:
            import openvino

            if _PRECISION[dtype][1] not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                return f"has no {str(dtype).removeprefix('torch.')} on this CPU"
        return reason

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        import openvino

        x = x.float()
        graph = openvino.convert_model(torch.export.export(model, (x,)), input=list(x.shape))
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": _PRECISION[dtype][0],
        }
        request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        inputs = [x.numpy()]

        def infer() -> object:
            results = request.infer(inputs, share_inputs=True, share_outputs=True)
            return [results[index] for index in range(len(results))]

        return infer

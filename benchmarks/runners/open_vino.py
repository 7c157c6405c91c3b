"""OpenVINO's CPU plugin, converted from the torch module."""

from __future__ import annotations

from collections import Counter
from functools import partial

import torch
from torch import Tensor, nn

from .base import Call, Runner

_PRECISION = {torch.float32: ("f32", "FP32"), torch.bfloat16: ("bf16", "BF16"), torch.float16: ("f16", "FP16")}


class OpenVino(Runner):
    name = "OpenVINO"
    settings = (
        "torch.export, convert_model, latency hint, one stream, hyper-threads too, precision hint as the dtype, "
        "float32 in and out"
    )
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
            "ENABLE_HYPER_THREADING": True,  # the latency hint takes one thread a core at most, whatever is asked for
            "INFERENCE_PRECISION_HINT": _PRECISION[dtype][0],
        }
        compiled = openvino.Core().compile_model(graph, "CPU", settings)
        self._tell = partial(told_by, compiled)
        request = compiled.create_infer_request()
        inputs = [x.numpy()]

        def infer() -> object:
            results = request.infer(inputs, share_inputs=True, share_outputs=True)
            return [results[index] for index in range(len(results))]

        return infer


def told_by(compiled) -> str:
    """Its convolutions, and how many threads it took of those that it was given."""
    return f"{convolutions_of(compiled)}; threads: {compiled.get_property('INFERENCE_NUM_THREADS')}"


def convolutions_of(compiled) -> str:
    """How many convolutions of a compiled model run by which primitive in which precision, as the device tells it.

    The hint asks for a precision; only the graph that is executed says which one it became.
    """
    told = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    words = [
        tuple(info[key].astype(str) for key in ("layerType", "primitiveType", "runtimePrecision")) for info in told
    ]
    counts = Counter((primitive, precision) for kind, primitive, precision in words if "Convolution" in kind)
    return ", ".join(f"{n} {primitive} in {precision}" for (primitive, precision), n in counts.most_common())

"""ncnn on a CPU, converted by its own pnnx from torch's trace."""

from __future__ import annotations

import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .base import Call, Runner


class Ncnn(Runner):
    name = "ncnn"
    settings = "pnnx, Winograd's convolutions as it chooses, bfloat16 as it stores it, one image after another"
    devices = ("cpu",)
    chooses_by_cpu = True
    needs = ("ncnn", "pnnx")
    slow_build = True

    def refusal(self, dtype: torch.dtype, device: torch.device) -> str | None:
        if dtype == torch.float16:
            return "compared in float32 and bfloat16 alone"
        return super().refusal(dtype, device)

    def build(self, model: nn.Module, x: Tensor, dtype: torch.dtype) -> Call:
        import ncnn
        import pnnx

        x = x.float()
        net = ncnn.Net()
        net.opt.num_threads = torch.get_num_threads()
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.opt.use_bf16_packed = net.opt.use_bf16_storage = dtype == torch.bfloat16
        with tempfile.TemporaryDirectory() as folder:
            torch.jit.trace(model, x[:1], check_trace=False).save(Path(folder, "model.pt"))
            shape = f"inputshape={list(x[:1].shape)}".replace(" ", "")
            subprocess.run([pnnx.EXEC_PATH, "model.pt", shape, "fp16=0"], cwd=folder, capture_output=True, check=True)
            net.load_param(str(Path(folder, "model.ncnn.param")))
            net.load_model(str(Path(folder, "model.ncnn.bin")))
        self._tell = lambda: f"its kernels of version {version('ncnn')}"
        images = [ncnn.Mat(image.numpy()).clone() for image in x]  # without a clone the memory is x's
        names = net.output_names()

        def infer() -> object:
            outputs = []
            for image in images:
                extractor = net.create_extractor()
                extractor.input("in0", image)
                outputs.append([extractor.extract(name)[1].numpy() for name in names])
            return [np.stack(of_all) for of_all in zip(*outputs, strict=True)]

        return infer

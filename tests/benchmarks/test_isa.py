"""HRNET_FAST_CPU_ISA holds the rivals to the same instruction set, and the results say so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
from benchmarks import isa, machine
from benchmarks.runners.onnx_runtime import OnnxRuntime
import torch
cpu = torch.device("cpu")
print(torch.backends.cpu.get_cpu_capability())
print(machine.describe_machine())
print(OnnxRuntime().refusal(torch.float32, cpu))
print(isa.command("pytest benchmarks"))
"""
OPENVINO = """
import benchmarks, torch
from benchmarks.runners.open_vino import OpenVino
runner = OpenVino()
runner.build(torch.nn.Sequential(torch.nn.Conv2d(16, 32, 3)).eval(), torch.randn(1, 16, 24, 24), torch.float32)
print(runner.ran())
"""


def told(program: str, **environment: str) -> list[str]:
    root = Path(__file__).resolve().parents[2]
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=root, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_everyone_is_held():
    capability, machine, refusal, command = told(ASK, HRNET_FAST_CPU_ISA="avx2")
    assert capability in ("AVX2", "DEFAULT")  # DEFAULT on a CPU that has no AVX2
    assert "held to avx2" in machine and "avx512" not in machine and "amx" not in machine
    assert refusal == "cannot be held to avx2: its kernels choose by the CPU alone"
    assert command == "HRNET_FAST_CPU_ISA=avx2 pytest benchmarks"


@pytest.mark.parametrize(("asked", "forbidden"), [("avx2", "avx512"), ("avx512", "amx")])
def test_openvino_is_held(asked, forbidden):
    pytest.importorskip("openvino")
    (convolution,) = told(OPENVINO, HRNET_FAST_CPU_ISA=asked)
    assert "1 " in convolution and forbidden not in convolution


def test_nothing_is_said_where_nothing_is_asked():
    assert "held" not in "".join(told(ASK, HRNET_FAST_CPU_ISA="")[1:2])

"""Runners say what they computed with, and refuse what would not be a comparison."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from benchmarks.compare import GROSS
from benchmarks.runners import RIVALS, HrnetFast, Plain
from benchmarks.runners.compiled import Compile
from benchmarks.runners.onnx_runtime import OnnxRuntime
from benchmarks.runners.open_vino import OpenVino
from benchmarks.runners.ours import ExactHrnetFast
from hrnet_fast.numerics import relative_l2, within_tolerance

CPU = torch.device("cpu")


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 40, 3, padding=1), nn.ReLU(), nn.Conv2d(40, 40, 3, padding=1), nn.ReLU()).eval()


@pytest.mark.parametrize(("dtype", "precision"), [(torch.float32, "f32"), (torch.bfloat16, "bf16")], ids=str)
def test_openvino_says_in_which_precision_it_convolved(dtype, precision):
    pytest.importorskip("openvino")
    runner = OpenVino()
    if refused := runner.refusal(dtype, CPU):
        pytest.skip(refused)
    model, x = net(), torch.randn(1, 3, 24, 40).to(dtype)
    with torch.inference_mode():
        want = copy.deepcopy(model).double()(x.double())
        call = runner.build(model, x, dtype)
        plain = copy.deepcopy(model).to(dtype)(x)
    assert within_tolerance(relative_l2(call(), want), relative_l2(plain, want))
    convolutions, _, threads = runner.ran().partition("; ")
    words = convolutions.split()
    assert words[0] == "2" and words[-2:] == ["in", precision]
    assert threads == f"threads: {torch.get_num_threads()}"
    assert runner.ran() is None, "asked once: nothing of the model is kept"


@pytest.mark.parametrize("name", ["MNN", "ncnn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_mobile_engines_compute_the_network(name, dtype):
    runner = next(rival for rival in RIVALS if rival.name == name)
    if refused := runner.refusal(dtype, CPU):
        pytest.skip(refused)
    model, x = net(), torch.randn(2, 3, 24, 40).to(dtype)
    with torch.inference_mode():
        want = copy.deepcopy(model).double()(x.double())
        plain = copy.deepcopy(model).to(dtype)(x)
        call = runner.build(copy.deepcopy(model), x, dtype)
        call()
        assert relative_l2(call(), want) < GROSS * relative_l2(plain, want)  # the report holds them to twice
    assert runner.ran().startswith("its kernels of version ")


def test_mobile_engines_refuse_what_they_cannot_be_held_to(monkeypatch):
    for name in ("MNN", "ncnn"):
        runner = next(rival for rival in RIVALS if rival.name == name)
        assert runner.refusal(torch.float16, CPU).startswith("compared in float32 ")
        assert runner.refusal(torch.float32, torch.device("cuda")) == "runs on cpu only"
        with monkeypatch.context() as patch:
            patch.setattr("benchmarks.isa.ASKED", "avx2")
            assert "cannot be held to avx2" in runner.refusal(torch.float32, CPU)


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_runtime_has_as_many_threads_as_the_others(threads, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    runner, seen = OnnxRuntime(), []
    if refused := runner.refusal(torch.float32, CPU):
        pytest.skip(refused)

    def session(path, options, **how):
        seen.append(options.intra_op_num_threads)
        return made(path, options, **how)

    made = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    torch.set_num_threads(threads)
    model, x = net(), torch.randn(1, 3, 24, 40)
    with torch.inference_mode():
        want, plain = copy.deepcopy(model).double()(x.double()), model(x)
        call = runner.build(model, x, torch.float32)
    assert within_tolerance(relative_l2(torch.from_numpy(call()[0]), want), relative_l2(plain, want))
    assert seen == [threads]


def test_ours_says_who_played_and_in_what():
    runner = HrnetFast()
    runner.build(net(), torch.randn(1, 3, 24, 40), torch.float32)
    told = runner.ran()
    assert told.startswith("2 levels by ") and told.endswith(", in float32")


def test_ours_without_winograd_is_compared_in_float32_on_a_cpu():
    runner = ExactHrnetFast()
    assert runner.refusal(torch.float32, CPU) is None
    assert "compared in float32" in runner.refusal(torch.bfloat16, CPU)
    assert runner.refusal(torch.float32, torch.device("cuda")) == "runs on cpu only"
    assert runner.is_ours and HrnetFast.is_ours and not Plain.is_ours


def test_the_compiler_gets_no_inference_tensors(monkeypatch):
    """Freezing refuses them, and converting a module's dtype keeps its parameters what they are."""
    given = []
    monkeypatch.setattr(torch, "compile", lambda module, **how: given.append(module) or module)
    with torch.inference_mode():
        model = copy.deepcopy(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval())
        Compile().build(model, torch.randn(1, 3, 5, 5).bfloat16(), torch.bfloat16)
    assert model[0].weight.is_inference()
    assert not any(tensor.is_inference() for tensor in (*given[0].parameters(), *given[0].buffers()))

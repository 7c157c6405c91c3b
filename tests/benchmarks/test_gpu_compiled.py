"""torch.compile as a rival: frozen where it says so, and its first kernel runs when it may."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.utils import is_parameter_freezing

from benchmarks.runners.compiled import Compile


@pytest.fixture
def compiler(monkeypatch):
    """In place of the compiler behind Dynamo: runs the graph as it is, and notes what happens."""
    seen = []

    def compile_fx(graph, inputs, config_patches):
        weights = sum(isinstance(one, nn.Parameter) for one in inputs)
        seen.append(("compiled", config_patches, weights))

        def run(*given):
            seen.append("ran")
            return graph.forward(*given)

        return run

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", compile_fx)
    return seen


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x))


def build(runner):
    model = Tiny().eval()
    with torch.inference_mode():
        return model, runner.build(model, torch.ones(1, 3, 4, 4), torch.float32)


@pytest.mark.parametrize(("freezing", "weights"), [(True, 0), (False, 4)], ids=["freezing", "not"])
def test_frozen_weights_are_no_inputs_of_the_graph(compiler, freezing, weights):
    """What Dynamo takes for inputs cannot be folded; as an option of torch.compile, freezing does nothing."""
    runner = Compile(freezing=freezing, keep_cache=True)
    runner.before_run = lambda: None
    build(runner)
    assert compiler[0] == ("compiled", {}, weights)
    assert not torch._inductor.config.freezing


def test_without_a_hook_freezing_holds_while_torch_compiles(monkeypatch):
    seen = []

    def compile(module, **how):
        assert how["mode"] == "default" and how["fullgraph"]
        return lambda x: seen.append(is_parameter_freezing()) or module(x)

    monkeypatch.setattr(torch, "compile", compile)
    for freezing in (True, False):
        build(Compile(freezing=freezing, keep_cache=True))
    assert seen == [True, False]


def test_the_hook_stands_between_the_compiler_and_the_first_run(compiler):
    runner = Compile("reduce-overhead", keep_cache=True)
    runner.before_run = lambda: compiler.append("hook")
    model, call = build(runner)
    assert compiler[1:] == ["hook", "ran", "ran", "ran"] and compiler[0][1] == {"triton.cudagraphs": True}
    with torch.inference_mode():
        assert call().equal(model(torch.ones(1, 3, 4, 4)))


@pytest.mark.parametrize(
    ("arguments", "name", "devices"),
    [
        (("default", False), "torch.compile", ("cpu", "cuda")),
        (("default", True), "torch.compile freezing", ("cpu", "cuda")),
        (("max-autotune", True), "torch.compile max-autotune freezing", ("cuda",)),
    ],
    ids=["default", "freezing", "tuned"],
)
def test_names_say_mode_and_freezing(arguments, name, devices):
    runner = Compile(*arguments)
    assert (runner.name, runner.devices) == (name, devices) and ("freezing=True" in runner.settings) == arguments[1]

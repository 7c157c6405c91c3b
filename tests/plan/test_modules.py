"""Planning leaves the user's module alone, looks through wrappers, and says what it cannot read."""

import itertools
import random
import sys
import types
import warnings
from collections import deque
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from hrnet_fast import optimize, verify
from hrnet_fast.plan import PlanError, make_plan
from hrnet_fast.weights.random import fill_weights
from tests.plan.small import Net

X = torch.randn(1, 3, 9, 7)


def plain(net, x):
    return net.d(net.c(x).relu())


class Keeping(nn.Module):
    """Keeps what it computes, in every way that a module can."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.register_buffer("last", torch.zeros(1))
        self.out, self.log, self.nested, self.feature, self.calls = {}, [], {"maps": []}, None, 0
        self.plain_list, self.table = [self.conv], {"conv": (self.conv,)}
        self.queue, self.context = deque(), SimpleNamespace(maps=None)

    def forward(self, x):
        self.queue.append(x)
        self.context.maps = x
        y = self.plain_list[0](x) + self.table["conv"][0](x)
        self.out["f"] = self.feature = self.last = self.conv.kept = y
        self.log.append(y)
        self.nested["maps"].append(y)
        self.calls += 1
        return y


@pytest.mark.parametrize("training", [True, False])
def test_what_a_forward_keeps_does_not_reach_the_users_module(training):
    net = Keeping().train(training)
    last = net.last
    with torch.inference_mode(training):
        make_plan(net, X)
    assert (net.out, net.log, net.nested, net.feature, net.calls) == ({}, [], {"maps": []}, None, 0)
    assert not net.queue and net.context.maps is None
    assert net.last is last and not hasattr(net.conv, "kept")


class Counting(nn.Conv2d):
    calls, last = 0, None

    def forward(self, x):
        self.calls, self.last = self.calls + 1, x.shape[0]
        return super().forward(x) * (self.calls if self.kernel_size == (3, 3) else self.last)


def test_what_computes_something_else_at_the_next_call_is_told_of():
    with pytest.warns(UserWarning, match="changes its own 1.calls, 1.last when it is called and computes something"):
        make_plan(nn.Sequential(nn.Identity(), Counting(3, 8, 3)), X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_plan(Counting(3, 8, 1), X)


def remembering(net, x):
    y = net.c(x)
    if net.grid is None:
        net.grid = torch.arange(y.shape[3]).to(y.dtype)
    return y * net.grid


def test_numbers_that_are_made_at_the_first_call_and_kept_are_the_same_at_the_next():
    net = Net(remembering)
    net.grid = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_plan(net, X)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_numbers_that_are_drawn_are_no_constants(draw):
    with pytest.raises(PlanError, match="the network draws random numbers, and a plan would repeat those of one draw"):
        make_plan(Net(lambda net, x: net.c(x) * float(draw())), X)
    make_plan(Net(lambda net, x: (draw(), net.c(x))[1]), X)


@pytest.mark.parametrize("seed", range(4))
def test_a_branch_that_is_drawn_is_refused_though_two_draws_agree(seed):
    random.seed(seed)
    with pytest.raises(PlanError, match="the network draws random numbers"):
        make_plan(Net(lambda net, x: net.c(x) * (2 if random.random() < 0.5 else 3)), X)


class Pair(NamedTuple):
    first: nn.Module
    second: nn.Module


PARTS = {
    "namedtuple": (lambda net: Pair(net.norm, net.d), lambda net, y: net.held.first(y)),
    "set": (lambda net: {net.norm}, lambda net, y: next(iter(net.held))(y)),
    "partial": (lambda net: partial(type(net.norm).forward, net.norm), lambda net, y: net.held(y)),
}


@pytest.mark.parametrize(("held", "run"), PARTS.values(), ids=PARTS)
def test_modules_that_are_held_otherwise_are_those_of_the_network_in_evaluation_mode(held, run):
    net = Net(lambda net, x: run(net, net.c(x))).train()
    net.held = held(net)
    make_plan(net, X)


class Holder(list):
    pass


def test_a_norm_that_is_trained_in_an_object_is_told_from_other_writes():
    net = Net(lambda net, x: net.held[0](net.c(x))).train()
    net.held = Holder([net.norm])
    with pytest.raises(PlanError, match="own 'norm.num_batches_tracked' .* cannot express: call its eval.. first"):
        make_plan(net, X)
    make_plan(net.eval(), X)


@pytest.mark.parametrize("training", [True, False])
def test_a_bound_method_is_that_of_the_network_in_evaluation_mode(training):
    net = Net(lambda net, x: nn.functional.dropout(net.step(x), training=net.training)).train(training)
    net.step = net.c.forward
    net.forward = net.forward
    make_plan(net, X)


def fires(*_):
    raise AssertionError("a hook was called")


@pytest.mark.parametrize("where", ["", "c", "norm"])
def test_hooks_are_not_traced_and_that_is_said(where):
    net = fill_weights(Net(lambda net, x: net.norm(net.c(x)))).eval()
    hooked = net.get_submodule(where)
    hooked.register_forward_hook(fires)
    hooked.register_forward_pre_hook(fires)
    named = f"the first is {where!r}" if where else "the first is the network itself"
    with pytest.warns(UserWarning, match=f"forward hooks .on 1 of its modules, {named}.*not traced") as warned:
        fast = optimize(net, example=X)
    assert warned[0].filename == __file__
    assert len(hooked._forward_hooks) == len(hooked._forward_pre_hooks) == 1
    with pytest.raises(AssertionError, match="a hook was called"):  # the original runs
        fast(X)


def test_without_hooks_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_plan(Net(plain).eval(), X)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "wrap", [optimize, nn.DataParallel, torch.compile, nn.Identity()], ids=["optimize", "parallel", "compile", "plain"]
)
def test_a_part_that_is_wrapped_already_is_looked_through(wrap, training):
    inner = fill_weights(Net(plain)).eval()
    part = wrap(inner, example=X) if wrap is optimize else wrap(inner)
    net = nn.Sequential(part, nn.ReLU()).train(training)
    fast = optimize(net, example=X)
    assert len(list(fast.plan_for(X).items())) == 2
    report = verify(nn.Sequential(inner, nn.ReLU()), fast, X)
    assert report.passed, str(report)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("compiler", [torch.jit.script, lambda net: torch.jit.trace(net, X)], ids=["script", "trace"])
def test_torchscript_is_refused(compiler):
    scripted = compiler(nn.Sequential(nn.Conv2d(3, 4, 1)).eval())
    for net, training in itertools.product((scripted, nn.Sequential(scripted)), (True, False)):
        with pytest.raises(PlanError, match="Sequential is a TorchScript module, .* that torch.jit was given"):
            optimize(net.train(training), example=X)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:the network has forward hooks")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        weight_norm,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        lambda conv: prune.l1_unstructured(conv, "weight", 0.5),
    ],
    ids=["parametrization", "weight_norm", "spectral_norm", "pruning"],
)
def test_weights_that_are_computed_are_refused_with_what_to_do(change, training):
    net = Net(plain)
    change(net.d)
    sentence = r"weight is computed from other tensors, .*remove_parametrizations\), pruning .*in .*forward of 'd'"
    with pytest.raises(PlanError, match=sentence):
        make_plan(net.train(training), X)


def test_a_cast_to_another_dtype_is_refused():
    sentence = r"Tensor\.double gives torch\.float64, but a plan's floating-point numbers are all in torch\.float32"
    with pytest.raises(PlanError, match=sentence):
        make_plan(Net(lambda net, x: net.c(x).double()), X)


def test_errors_name_the_module():
    with pytest.raises(PlanError, match=r"cumprod is not understood by the planner \(in Net.forward of '1.0'\)"):
        make_plan(nn.Sequential(nn.Identity(), nn.Sequential(Net(lambda net, x: net.c(x).cumprod(1)))), X)
    with pytest.raises(PlanError, match="Net.forward of '0' cannot be planned: tensor"):
        make_plan(nn.Sequential(Net(lambda net, x: {}[x])), X)


def test_errors_inside_an_interpreter_of_fx_are_one_sentence():
    """It adds lines to them; torch.export.unflatten's modules run in it."""
    interpreter = torch.fx.Interpreter(torch.fx.symbolic_trace(lambda x: x.logcumsumexp(1)))
    net = Net(lambda net, x: interpreter.run(x))
    with pytest.raises(PlanError, match=r"^the operation .*logcumsumexp is not understood by the planner \(in .*\)$"):
        make_plan(net, X)


HANDING_OVER = """
from torch import nn
from torch.overrides import handle_torch_function, has_torch_function

class Part(nn.Module):
    def forward(self, x):
        if has_torch_function((x,)):
            return handle_torch_function(missing, (x,), x)
        return x * 2
"""


def test_copies_of_torchs_functions_that_hand_calls_over_compute_themselves(monkeypatch):
    """As HRFormer's official multi-head attention, whose name for it does not exist."""
    code = types.ModuleType("their_attention")
    monkeypatch.setitem(sys.modules, "their_attention", code)
    exec(HANDING_OVER, code.__dict__)
    asked = code.has_torch_function
    net = nn.Sequential(nn.Conv2d(3, 8, 1), code.Part())
    make_plan(net, X)
    code.Part.forward = eval("lambda self, x: nothing * x if not has_torch_function((x,)) else missing", code.__dict__)
    with pytest.raises(PlanError, match="Part.forward of '1' cannot be planned: name 'nothing' is not defined"):
        make_plan(net, X)
    assert code.has_torch_function is asked

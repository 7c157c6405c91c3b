"""torch.compile sees one op a network inside a larger model, which computes and differentiates as outside."""

import copy
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from hrnet_fast import optimize
from hrnet_fast.engine import op as engine_op
from tests.engine.larger_models import Larger, Nested, Stage, X, assert_as_exact, assert_same, called, timm_small
from tests.golden import fill
from tests.networks import small_net
from tests.threads import at_once

pytestmark = pytest.mark.usefixtures("fresh_compiler")
BACKENDS = ["eager", "aot_eager"]
MODELS = {"ours": lambda: small_net().eval(), "timm": timm_small, "pyramid": lambda: small_net("det_coco").eval()}


def recording(graphs):
    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    return backend


@pytest.mark.parametrize("origin", MODELS)
def test_a_larger_model_compiles_to_one_call_of_the_op(origin):
    model, graphs = Larger(optimize(MODELS[origin]())).eval(), []
    with torch.no_grad():
        got = torch.compile(model, fullgraph=True, backend=recording(graphs))(X)
        assert_same(got, model(X))
    (graph,) = graphs
    assert sum("hrnet_fast.run" in str(target) for target in called(graph)) == 1
    assert sum("conv2d" in str(target) for target in called(graph)) == 1  # the user's own


@pytest.mark.parametrize("origin", MODELS)
def test_functionalized_equals_eager(origin):
    model = Larger(optimize(MODELS[origin]())).eval()
    with torch.no_grad():
        assert_same(torch.compile(model, fullgraph=True, backend="aot_eager")(X), model(X))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_inductor(larger, layout):
    x = X.contiguous(memory_format=layout)
    with torch.no_grad():
        assert_as_exact(torch.compile(larger, fullgraph=True)(x), larger, x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lists_in_and_out(backend):
    model = fill(Stage()).eval()
    model.net = optimize(model.net)
    x = torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        assert_same(torch.compile(model, fullgraph=True, backend=backend)(x), model(x))


class Both(NamedTuple):
    sum: Any
    parts: Any


NESTINGS = {
    "dict": lambda a, b: {"out": a, "aux": [b, None]},
    "ordered": lambda a, b: OrderedDict(out=a, aux={0: b}),
    "named": lambda a, b: Both(a, (b, {"again": b})),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", NESTINGS.values(), ids=NESTINGS)
def test_results_nest_as_the_originals(make, backend):
    net = fill(Nested(make)).eval()
    fast = optimize(net)
    larger = torch.compile(lambda x: fast(x + 1), backend=backend, fullgraph=True)
    with torch.no_grad():
        got, spec = pytree.tree_flatten(larger(X))
        want, its_spec = pytree.tree_flatten(fast(X + 1))
    assert spec == its_spec == pytree.tree_flatten(net(X))[1]
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(got, want))


def test_dynamic_batch_compiles_once(larger):
    graphs = []
    compiled = torch.compile(larger, fullgraph=True, backend=recording(graphs), dynamic=True)
    with torch.no_grad():
        for batch in (2, 3, 7):
            x = torch.randn(batch, 3, 64, 64)
            assert_same(compiled(x), larger(x))
        assert len(graphs) == 1
        wide = torch.randn(2, 3, 64, 96)  # another size has another plan
        assert_same(compiled(wide), larger(wide))


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_gradients_are_the_plain_models(backend, monkeypatch):
    monkeypatch.setattr(engine_op, "_warned", False)
    plain = fill(Stage()).eval()
    model = copy.deepcopy(plain)
    model.net = optimize(model.net)
    if backend:
        model = torch.compile(model, fullgraph=True, backend=backend)
    grads, given = [], torch.randn(2, 8, 8, 8)
    with pytest.warns(UserWarning, match="the original module runs instead"):
        for m in (plain, model):
            x = given.clone().requires_grad_()
            sum(y.square().sum() for y in m(x)).backward()
            grads.append([x.grad, *(p.grad for p in m.parameters())])
    assert len(grads[0]) == 19 and all(g.abs().max() > 0 for g in grads[0])
    assert all(map(torch.equal, *grads))


def test_two_networks_at_once():
    class Two(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.a, self.b = a, b

        def forward(self, x):
            return [self.a(x), self.b(x), self.a(x * 2)]

    one, other = small_net().eval(), small_net().eval()
    with torch.no_grad():
        other.final_layer.weight.mul_(-2)
    model = Two(optimize(one), optimize(other))
    with torch.no_grad():
        expected = model(X)
        assert_same(torch.compile(model, fullgraph=True, backend="aot_eager")(X), expected)
    assert not torch.equal(expected[0], expected[1])


def test_new_weights_reach_what_was_compiled_before():
    fast = optimize(small_net().eval())
    model = Larger(fast).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        before = compiled(X)
        fast.original.final_layer.bias.add_(1)
        with pytest.raises(RuntimeError, match=r"changed after optimize\(\).*refresh\(\)"):
            compiled(X)
        fast.refresh()
        after = compiled(X)
        assert_same(after, model(X))
    assert not torch.equal(before[0], after[0])


def test_threads_share_what_was_compiled(larger):
    inputs = [torch.randn(1 + i % 3, 3, 64, 64) for i in range(9)]
    with torch.no_grad():
        expected = [larger(x) for x in inputs]
    compiled = torch.compile(larger, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch.no_grad():
        compiled(inputs[1]), compiled(inputs[0])  # dynamo compiles anew in each thread that meets it uncompiled

    @torch.no_grad()
    def call(x):
        return compiled(x)

    for got, want in zip(at_once(call, inputs), expected):
        assert_same(got, want)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.zeros(2, 3, 100, 64), "the next size up is 128x64"),
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), "must be floating point: convert it"),
        (torch.zeros(2, 64, 64), r"\(N, 3, H, W\), not \(2, 64, 64\)"),
    ],
    ids=["size", "dtype", "rank"],
)
def test_bad_input_is_refused_while_compiling(x, sentence):
    compiled = torch.compile(optimize(small_net().eval()), fullgraph=True, backend="eager")
    with torch.no_grad(), pytest.raises(Exception, match=sentence):
        compiled(x)

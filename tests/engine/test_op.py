"""One op a network: what torch.compile and torch.export see of an optimized module inside a larger model."""

import copy
import gc
import io
import subprocess
import sys
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import timm
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

from hrnet_fast import optimize
from hrnet_fast.engine import op as engine_op
from hrnet_fast.models import BasicBlock, HighResolutionModule
from tests.golden import fill
from tests.networks import SMALL, small_net

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))
OP = torch.ops.hrnet_fast.run.default
BACKENDS = ["eager", "aot_eager"]


class Larger(nn.Module):
    """A user's model: a layer, the network, layers on all of its results."""

    def __init__(self, net):
        super().__init__()
        self.before, self.net = nn.Conv2d(3, 3, 1), net

    def forward(self, x):
        result = self.net(self.before(x))
        results = result if isinstance(result, (list, tuple)) else [result]
        return [torch.relu(y) + y.mean() for y in results]


class Stage(nn.Module):
    """A user's model around one module: lists of maps in and out."""

    def __init__(self):
        super().__init__()
        self.net = HighResolutionModule(2, BasicBlock, [1, 1], [8, 16], [8, 16], "SUM")

    def forward(self, x):
        high, low = self.net([x, x[:, :, ::2, ::2].repeat(1, 2, 1, 1)])
        return [high + 1, low * 2]


def timm_small():
    return fill(timm.create_model(SMALL)).eval()


MODELS = {"ours": lambda: small_net().eval(), "timm": timm_small, "pyramid": lambda: small_net("det_coco").eval()}


@pytest.fixture(scope="module")
def larger():
    return Larger(optimize(small_net().eval())).eval()


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()


def recording(graphs):
    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    return backend


def called(graph):
    return [node.target for node in graph.graph.nodes if node.op == "call_function"]


def assert_same(given, expected):
    assert len(given) == len(expected)
    for a, b in zip(given, expected):
        assert (a.shape, a.stride(), a.dtype) == (b.shape, b.stride(), b.dtype)
        assert torch.equal(a, b)


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
        got, expected = torch.compile(larger, fullgraph=True)(x), larger(x)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(got, expected))


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


class Nested(nn.Module):
    """make: how it nests its two maps."""

    def __init__(self, make):
        super().__init__()
        self.conv, self.make = nn.Conv2d(3, 4, 3, padding=1), make

    def forward(self, x):
        y = self.conv(x)
        return self.make(y, y.relu())


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


def labelled():
    return fill(Nested(lambda a, b: {"map": a, "labels": (a.argmax(1), None), "mask": b > 0})).eval()


def test_labels_and_masks_keep_their_dtypes():
    fast, x = optimize(labelled()), X.clone().requires_grad_()

    def larger(x):
        result = fast(x * 1)
        return result["labels"][0] + 1, result["map"] * result["mask"]

    with torch.no_grad():
        for run in (torch.compile(larger, backend="aot_eager", fullgraph=True), torch.jit.trace(larger, X)):
            assert all(map(torch.equal, run(X), larger(X)))
        program = torch.export.export(fast, (X,), dynamic_shapes=(({0: torch.export.Dim("batch")},),)).module()
        given, expected = (pytree.tree_leaves(run(torch.cat([X, X]))) for run in (program, fast))
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(given, expected, strict=True))
    torch.library.opcheck(OP, ([x], fast._token, "(0,)"))
    torch.ops.hrnet_fast.run([x], fast._token, "(0,)")[0].sum().backward()
    (expected,) = torch.autograd.grad(labelled()(x)["map"].sum(), x)
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_fake_results_are_laid_out_as_real_ones(dtype, layout):
    fast = optimize(small_net().eval())
    real = X.to(dtype).contiguous(memory_format=layout)
    with FakeTensorMode() as mode:
        fake = fast(mode.from_tensor(real))
    given = fast(real)
    assert (fake.shape, fake.stride(), fake.dtype, fake.device) == (
        given.shape, given.stride(), given.dtype, given.device,
    )  # fmt: skip


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


@pytest.mark.parametrize("strict", [False, True])
def test_export_runs_with_any_batch(larger, strict):
    batch = torch.export.Dim("batch", min=1, max=16)
    with torch.no_grad():
        program = torch.export.export(larger, (X,), dynamic_shapes=({0: batch},), strict=strict)
        assert called(program.graph_module).count(OP) == 1
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        loaded = torch.export.load(file)
        for size in (1, 2, 5):
            x = torch.randn(size, 3, 64, 64)
            assert_same(program.module()(x), larger(x))
            assert_same(loaded.module()(x), larger(x))


def test_export_of_a_model_left_in_training_mode():
    fast = optimize(small_net().train())
    with torch.no_grad():
        assert torch.equal(torch.export.export(fast, (X,)).module()(X), fast(X))


def test_dynamic_height_is_refused_by_export(larger):
    height = torch.export.Dim("height", min=32, max=128)
    with torch.no_grad(), pytest.raises(Exception, match="height.*specialized it to be a constant"):
        torch.export.export(larger, (X,), dynamic_shapes=({2: height},))


class Chosen(nn.Module):
    """A user's model that keeps some images, or rows, only at run time."""

    def __init__(self, net, dim):
        super().__init__()
        self.net, self.dim = net, dim

    def forward(self, x, keep):
        return self.net(x[keep] if self.dim == 0 else x[:, :, keep])


def test_a_batch_that_depends_on_data_exports():
    fast = optimize(small_net().eval())
    program = torch.export.export(Chosen(fast, 0), (X, torch.tensor([True, True]))).module()
    assert_same([program(X, torch.tensor([False, True]))], [fast(X[1:])])


def test_a_height_that_depends_on_data_is_refused():
    model = Chosen(optimize(small_net().eval()), 2)
    with pytest.raises(
        ValueError, match=r"height or width that depends on data \(u0\) cannot be planned: only the batch"
    ):
        torch.export.export(model, (X, torch.ones(64, dtype=torch.bool)))


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("kind", ["network", "module"])
def test_opcheck(kind, requires_grad):
    if kind == "network":
        fast, inputs, structure = optimize(small_net().eval()), [X], "(0,)"
    else:
        fast = optimize(fill(Stage()).eval().net)
        inputs, structure = [torch.randn(2, 8, 8, 8), torch.randn(2, 16, 4, 4)], "([0,1,],)"
    inputs = [x.clone().requires_grad_(requires_grad) for x in inputs]
    torch.library.opcheck(OP, (inputs, fast._token, structure))


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
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_through_an_exported_program():
    plain = small_net().eval()
    fast = optimize(plain)
    program = torch.export.export(fast, (X,)).module()
    grads = []
    for m in (plain, program):
        x = X.clone().requires_grad_()
        m(x).square().sum().backward()
        grads.append(x.grad)
    assert grads[0].abs().max() > 0
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


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
    assert not torch.allclose(expected[0], expected[1], atol=1e-2)


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
    assert not torch.allclose(before[0], after[0], atol=1e-3)


def test_threads_share_what_was_compiled(larger):
    inputs = [torch.randn(1 + i % 3, 3, 64, 64) for i in range(9)]
    with torch.no_grad():
        expected = [larger(x) for x in inputs]
    compiled = torch.compile(larger, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch.no_grad():
        compiled(inputs[1]), compiled(inputs[0])  # dynamo compiles anew in each thread that meets it uncompiled
    results = [None] * len(inputs)

    def work(i):
        with torch.no_grad():
            results[i] = compiled(inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, want in zip(results, expected):
        assert_same(got, want)


def test_threads_trace_at_the_same_time():
    fast, results = optimize(small_net().eval()), {}

    def work(i):
        with torch.no_grad(), FakeTensorMode() as mode:
            results[i] = fast(mode.from_tensor(torch.empty(1, 3, 32 * (1 + i % 2), 64))).shape

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: (1, 17, 8 * (1 + i % 2), 16) for i in range(6)}


def test_a_module_goes_on_by_itself_where_the_op_was_never_traced(monkeypatch):
    """As in a thread beside one that exports: the compiler's flag is the whole process's."""
    fast = optimize(small_net().eval())
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        got = fast(X)
    assert torch.equal(got, fast(X))


def test_a_parameter_is_an_input_too():
    fast = optimize(small_net().eval())
    assert torch.equal(fast(nn.Parameter(X, requires_grad=False)), fast(X))


def test_tracers_see_the_op():
    from torch.fx.experimental.proxy_tensor import make_fx

    fast = optimize(small_net().eval())
    graph = make_fx(fast)(torch.zeros_like(X))
    assert called(graph).count(OP) == 1
    assert torch.equal(graph(X), fast(X))


def test_a_network_that_is_gone_is_named():
    fast = optimize(small_net().eval())
    token = fast._token
    program = torch.export.export(fast, (X,)).module()
    del fast
    gc.collect()
    with pytest.raises(RuntimeError, match=f"the optimized network {token}, which is not in this process"):
        program(X)


LOADED = """
import sys, torch
import hrnet_fast.api
assert "torch._dynamo" not in sys.modules, "importing the engine imports the compiler"
torch.export.load(sys.argv[1]).module()(torch.zeros(2, 3, 64, 64))
"""


def test_a_program_in_another_process_is_refused(tmp_path):
    fast = optimize(small_net().eval())
    path = str(tmp_path / "program.pt2")
    torch.export.save(torch.export.export(fast, (X,)), path)
    done = subprocess.run([sys.executable, "-c", LOADED, path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"the optimized network {fast._token}, which is not in this process" in done.stderr


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


def test_copies_have_tokens_of_their_own():
    fast = optimize(small_net().eval())
    copied = copy.deepcopy(fast)
    assert copied._token != fast._token
    assert engine_op._networks[copied._token] is copied

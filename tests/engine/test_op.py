"""One op a network: what tracers see of it, and how it is called."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

from hrnet_fast import optimize
from hrnet_fast.engine import op as engine_op
from tests.engine.larger_models import OP, Nested, Stage, X, called
from tests.golden import fill
from tests.networks import small_net
from tests.threads import at_once

pytestmark = pytest.mark.usefixtures("fresh_compiler")


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
    assert torch.equal(x.grad, expected)


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


def test_threads_trace_at_the_same_time():
    fast = optimize(small_net().eval())

    def shape_of(height):
        with torch.no_grad(), FakeTensorMode() as mode:
            return fast(mode.from_tensor(torch.empty(1, 3, height, 64))).shape

    assert at_once(shape_of, [32, 64] * 3) == [(1, 17, 8, 16), (1, 17, 16, 16)] * 3


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


def test_copies_have_tokens_of_their_own():
    fast = optimize(small_net().eval())
    copied = copy.deepcopy(fast)
    assert copied._token != fast._token
    assert engine_op._networks[copied._token] is copied

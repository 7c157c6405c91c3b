"""torch.export and torch.jit.trace see an optimized network as one op; ONNX, torch.fx and sparse input are refused."""

import gc
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from hrnet_fast import OptimizedModule, optimize
from tests.engine.larger_models import OP, X, assert_same, called
from tests.networks import small_net


@pytest.fixture(scope="module")
def fast():
    return optimize(small_net().eval())


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: nn.Sequential(net, nn.ReLU())], ids=["alone", "inside"])
def test_a_trace_takes_any_batch(fast, wrap):
    model = wrap(fast)
    traced = torch.jit.trace(model, torch.randn(1, 3, 64, 64))
    x = torch.randn(3, 3, 64, 64)
    assert torch.equal(traced(x), model(x))


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential], ids=["alone", "inside"])
def test_script_is_refused(fast, wrap):
    with pytest.raises(TypeError, match="torch.jit.script cannot compile an optimized network: script its `original`"):
        torch.jit.script(wrap(fast))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False])
def test_onnx_is_refused(fast, dynamo):
    pytest.importorskip("onnxscript")
    export = partial(torch.onnx.export, dynamo=dynamo, verbose=False)
    with ThreadPoolExecutor(1) as thread, pytest.raises(Exception) as caught:  # what fails leaves its thread changed
        thread.submit(export, fast, (torch.randn(1, 3, 64, 64),), io.BytesIO()).result()
    said, error = [], caught.value
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    assert any("ONNX has no operator for an optimized network: export its `original` instead" in one for one in said)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "x",
    [Tensor.to_sparse, Tensor.to_mkldnn, lambda x: torch.nested.nested_tensor(list(x))],
    ids=["sparse", "mkldnn", "nested"],
)
def test_what_is_not_dense_is_refused(fast, x):
    with pytest.raises(TypeError, match="sparse or nested, but must be dense"):
        fast(x(torch.ones(1, 3, 64, 64)))


@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential], ids=["alone", "inside"])
def test_fx_is_told_to_trace_the_original(fast, wrap):
    with pytest.raises(TypeError, match="torch.fx cannot trace an optimized network: trace its `original`, or"):
        torch.fx.symbolic_trace(wrap(fast))


def test_to_fx_an_optimized_network_may_be_a_leaf(fast):
    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return isinstance(module, OptimizedModule) or super().is_leaf_module(module, name)

    model, x = nn.Sequential(fast, nn.ReLU()), torch.randn(1, 3, 64, 64)
    assert torch.equal(torch.fx.GraphModule(model, Tracer().trace(model))(x), model(x))


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


def test_gradients_through_an_exported_program():
    plain = small_net().eval()
    fast = optimize(plain)
    program = torch.export.export(fast, (X,)).module()
    grads, weights = [], torch.randn(2, 17, 16, 16)
    for m in (plain, program):
        x = X.clone().requires_grad_()
        (m(x) * weights).sum().backward()
        grads.append(x.grad)
    assert grads[0].abs().max() > 0
    assert torch.equal(*grads)


def test_a_network_that_is_gone_is_named():
    fast = optimize(nn.Conv2d(3, 4, 3))
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
    fast = optimize(nn.Conv2d(3, 4, 3))
    path = str(tmp_path / "program.pt2")
    torch.export.save(torch.export.export(fast, (X,)), path)
    done = subprocess.run([sys.executable, "-c", LOADED, path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"the optimized network {fast._token}, which is not in this process" in done.stderr

"""torch.jit.trace sees an optimized network as one op; ONNX and torch.fx are refused, and so are tensors that are not
dense."""

import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from hrnet_fast import OptimizedModule, optimize
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

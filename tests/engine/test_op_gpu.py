"""The op on a GPU: inductor with and without CUDA graphs of its own around ours, and opcheck."""

import pytest
import torch

from hrnet_fast import optimize
from tests.engine.larger_models import OP, Larger, X, assert_as_exact
from tests.networks import small_net

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.usefixtures("fresh_compiler"),
]


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_inductor(mode, dtype):
    fast = optimize(small_net().eval().to("cuda", dtype))
    model = Larger(fast).eval().to("cuda", dtype)
    compiled = torch.compile(model, fullgraph=True, mode=mode)
    with torch.no_grad():
        for _ in range(4):  # inductor's graphs warm up, capture, and are replayed
            x = torch.randn(2, 3, 64, 64, device="cuda", dtype=dtype)
            torch.compiler.cudagraph_mark_step_begin()
            assert_as_exact([y.clone() for y in compiled(x)], model, x)
        fast.original.final_layer.bias.add_(1)
        with pytest.raises(RuntimeError, match=r"changed after optimize\(\)"):  # the op is called, not replayed
            compiled(x)


def test_opcheck():
    fast = optimize(small_net().eval().cuda())
    torch.library.opcheck(OP, ([X.cuda()], fast._token, "(0,)"))


def test_a_program_exported_on_a_gpu_runs_on_another_stream():
    fast = optimize(small_net().eval().half().cuda())
    x = X.half().cuda()
    program = torch.export.export(fast, (x,)).module()
    expected = fast(x)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        got = program(x)
    side.synchronize()
    assert torch.equal(got, expected)

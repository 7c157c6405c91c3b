"""Convolutions, sums and networks in bfloat16: on AMX tiles and in words of AVX512_BF16, by the CPU's own instructions
where it has them, and by emulated ones on any CPU with AVX-512."""

import pytest
import torch

from hrnet_fast import create_model, verify
from hrnet_fast.engine.module import OptimizedModule
from hrnet_fast.plan import make_plan
from hrnet_fast.weights.random import fill_weights
from tests.engine.bfloat16_nets import SUMMANDS, Conv, by_isa, check, check_conv, executor
from tests.engine.native_nets import Sums

pytestmark = pytest.mark.usefixtures("whole_batches")


@by_isa
@pytest.mark.parametrize("c_in", [1, 3, 18, 30, 32, 36, 44, 64, 96, 720])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (13, 21)], ids="{0[0]}x{0[1]}".format)
def test_input_channels_and_sizes(isa, c_in, size):
    check_conv(c_in, 18, size, batch=3, isa=isa, summands="relu")


@by_isa
@pytest.mark.parametrize("c_out", [1, 15, 16, 17, 18, 30, 32, 36, 44, 64, 96, 720])
def test_output_channels(isa, c_out):
    check_conv(7, c_out, (5, 9), isa=isa, summands="same")


@by_isa
@pytest.mark.parametrize("c", [128, 256])
def test_heavy_weights(isa, c):
    check_conv(c, c, (9, 12), batch=1, isa=isa, summands="same")


@by_isa
@pytest.mark.parametrize("summands", SUMMANDS)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (1, 2)])
def test_epilogues(isa, kernel, stride, summands):
    check_conv(20, 34, (11, 14), isa=isa, kernel=kernel, stride=stride, summands=summands)


@by_isa
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 35), (17, 70), (34, 33)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("c_in", [3, 32, 44])
def test_stride_2(isa, c_in, size):
    check_conv(c_in, 64, size, batch=1, isa=isa, stride=2, summands="relu")


@by_isa
def test_dilation(isa):
    check_conv(12, 20, (9, 14), isa=isa, dilation=2)


@by_isa
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "aligned"])
@pytest.mark.parametrize("concat", [False, True], ids=["sum", "concat"])
@pytest.mark.parametrize("channels", [1, 18, 32, 44])
def test_sums(isa, mode, concat, channels):
    shapes = [(2, channels, 9, 14), (2, channels, 5, 7), (2, channels, 3, 4), (2, channels, 9, 14)]
    check(Sums(mode, concat), *map(torch.randn, shapes), isa=isa)


@by_isa
def test_what_is_not_finite_stays_near(isa):
    net = fill_weights(Conv(18, 20))
    x = torch.randn(1, 18, 12, 15)
    spoiled = x.clone()
    spoiled[0, 3, 6, 9] = torch.nan
    run = executor(net, isa).prepare(make_plan(net, x))
    clean, dirty = run([x])[0], run([spoiled])[0]
    assert dirty[0, :, 5:8, 8:11].isnan().all()
    dirty[0, :, 5:8, 7:11] = clean[0, :, 5:8, 7:11]  # and one pixel further left, where a step reads past its tap
    assert torch.equal(clean, dirty)
    assert torch.equal(run([x])[0], clean)


@by_isa
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64, torch.float16], ids=str)
def test_tensors_of_the_caller_may_have_any_type_and_strides(isa, dtype):
    net = fill_weights(Conv(3, 20))
    x = (torch.randn(2, 3, 24, 15) * 8).to(torch.bfloat16)
    run = executor(net, isa).prepare(make_plan(net, x))
    (expected,) = run([x])
    wide = torch.full((2, 3, 24, 31), torch.nan, dtype=dtype)
    wide[..., 1::2] = x
    for same in (x.to(dtype), x.to(dtype).to(memory_format=torch.channels_last), wide[..., 1::2]):
        (result,) = run([same])
        assert result.dtype == dtype
        assert torch.equal(result.to(torch.bfloat16), expected)


@by_isa
@pytest.mark.parametrize("tag", ["pose_coco_256x192", "seg_lip", "cls_in1k"])
def test_whole_networks(isa, tag):
    model = fill_weights(create_model(f"hrnet_w18_small.{tag}"))
    fast = OptimizedModule(model, torch.bfloat16, "reference")
    fast._prepared.executor = executor(model, isa)
    report = verify(model, fast, torch.randn(1, 3, 64, 64))
    assert report.passed, str(report)


@by_isa
def test_results_are_the_same_for_any_number_of_threads(isa):
    model = fill_weights(create_model("hrnet_w18_small.pose_coco_256x192"))
    x = torch.randn(2, 3, 96, 64)
    run = executor(model, isa).prepare(make_plan(model, x))
    results = []
    for count in (1, 2, 3, 2):
        torch.set_num_threads(count)
        results.append(run([x])[0])
    assert all(torch.equal(result, results[0]) for result in results)

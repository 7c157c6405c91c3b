"""The GPU executors on a GPU: numbers, streams, threads, the caller's own graphs, memory, tuning. Skipped elsewhere."""

import copy
import threading

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, optimize, verify
from hrnet_fast.engine.gpu.tape import CaptureError
from hrnet_fast.kernels import extension
from hrnet_fast.numerics import relative_l2, within_tolerance
from tests.golden import fill
from tests.networks import small_net

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
WITHOUT_CUDA = pytest.mark.skipif(extension().kind != "cuda", reason=str(extension().reason))
CUDA, CHAINS = (pytest.param(name, marks=WITHOUT_CUDA) for name in ("cuda", "cuda-chains"))
EXECUTORS = ["triton", CUDA, CHAINS, "cudnn", "auto"]
DTYPES = [torch.float16, torch.bfloat16, torch.float32]
HEADS = ["pose_coco_256x192", "seg_cityscapes", "seg_ocr_lip", "landmark_wflw", "cls_in1k", "det_coco",
         "faster_rcnn_coco", "features"]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HRNET_FAST_CACHE", str(tmp_path))


def small(tag="pose_coco_256x192", dtype=torch.float32):
    return small_net(tag).to("cuda", dtype)


def image(batch=2, size=(64, 96), dtype=torch.float32):
    return torch.randn(batch, 3, *size, device="cuda", dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("tag", HEADS)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_numbers(executor, tag, dtype):
    model, x = small(tag), image()
    report = verify(model, optimize(model, dtype=dtype, executor=executor, example=x), x)
    assert report.passed, str(report)


@pytest.mark.parametrize("tf32", [True, False])
@pytest.mark.parametrize("executor", ["triton", "cudnn"])
def test_float32_is_as_exact_as_torch_is_told_to_be(executor, tf32, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    model, x = small(), image()
    fast = optimize(model, executor=executor, example=x)
    assert verify(model, fast, x).passed
    with torch.no_grad():
        error = (fast(x) - model.double()(x.double())).norm() / model(x.double()).norm()
    assert error > 1e-5 if tf32 else error < 1e-5  # between roundings at 2^-11 and at 2^-24


@pytest.mark.parametrize("name", ["hrnet_w32.pose_coco_256x192", "hrnet_w48.seg_cityscapes"])
def test_large_networks_level_by_level(name):
    model = fill(create_model(name)).cuda()
    x = image(1, (256, 192))
    report = verify(model, optimize(model, dtype=torch.float16, executor="triton", example=x), x, levels=True)
    assert report.passed, str(report)
    assert all(level.passed for level in report.levels), str(report)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_results_are_the_callers_and_the_same_every_time(executor):
    fast = optimize(small(), dtype=torch.float16, executor=executor, example=image())
    x, y = image(), image()
    with torch.inference_mode():
        first = fast(x)
        kept = first.clone()
        fast(y)
        again = fast(x)
    assert torch.equal(first, kept) and torch.equal(first, again)
    assert first.dtype == torch.float32 and not first.is_inference()
    strided = fast(x.contiguous(memory_format=torch.channels_last))
    assert strided.is_contiguous(memory_format=torch.channels_last) and torch.equal(strided, first)
    assert torch.equal(fast(image(2, (64, 192))[..., ::2].copy_(x)), first)
    assert fast(x.half()).dtype == torch.float16


@pytest.mark.parametrize("executor", EXECUTORS)
def test_any_stream(executor):
    fast = optimize(small(), dtype=torch.float16, executor=executor, example=image())
    inputs = [image() for _ in range(8)]
    want = [fast(x) for x in inputs]
    streams = [torch.cuda.Stream() for _ in range(3)]
    torch.cuda.synchronize()
    found = []
    for index, x in enumerate(inputs):
        with torch.cuda.stream(streams[index % 3]):
            found.append(fast(x))
    torch.cuda.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(want, found))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_several_threads_and_modules(executor):
    modules = [optimize(small(tag), dtype=torch.float16, executor=executor) for tag in HEADS[:2]]
    inputs = [image() for _ in range(4)]
    want = [[module(x) for module in modules] for x in inputs]
    found = [None] * len(inputs)

    def call(index):
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(10):
                found[index] = [module(inputs[index]) for module in modules]
            torch.cuda.current_stream().synchronize()

    torch.cuda.synchronize()
    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for both in zip(want, found) for a, b in zip(*both))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_graph_writes_to_no_memory_that_torch_has_given_to_others(executor):
    """Classes are a product by cuBLAS, whose workspaces torch.compile lets go of."""
    fast, x = optimize(small("cls_in1k"), dtype=torch.float16, executor=executor), image()
    first = fast(x)
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    theirs = torch.ones(1 << 28, device="cuda")
    assert torch.equal(fast(x), first) and bool((theirs == 1).all())


@pytest.mark.parametrize("executor", ["triton", CUDA, CHAINS, "cudnn"])
def test_inside_a_graph_of_the_callers(executor):
    fast = optimize(small(), dtype=torch.float16, executor=executor, example=image())
    x = image()
    want = fast(x)
    static, graph = torch.zeros_like(x), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = fast(static)
    static.copy_(x)
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(y, want)
    assert torch.equal(fast(x), want)  # its own graph still delivers its own results


@pytest.mark.parametrize("executor", ["triton", CUDA, CHAINS, "cudnn"])
def test_inside_a_graph_that_another_thread_captures(executor):
    """It knows nothing of what cuDNN's trials chose for the thread that ran the network before."""
    model, x = small(), image()
    fast = optimize(model, dtype=torch.float16, executor=executor, example=x)
    fast(x)
    static, graph, results = x.clone(), torch.cuda.CUDAGraph(), []

    def capture():
        with torch.no_grad():
            model(x)  # so that the thread has handles of cuDNN
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            results.append(fast(static))

    thread = threading.Thread(target=capture)
    thread.start()
    thread.join()
    graph.replay()
    with torch.no_grad():
        exact, plain = (copy.deepcopy(model).to(dtype)(x.to(dtype)) for dtype in (torch.float64, torch.float16))
    assert within_tolerance(relative_l2(results, exact), relative_l2(plain, exact))


def test_an_unknown_shape_inside_a_capture_is_refused():
    fast = optimize(small(), dtype=torch.float16, executor="triton", example=image())
    fast(image())
    fast.plan_for(image(1))
    x = image(1)
    refused = pytest.raises(CaptureError, match="never run before the present CUDA graph capture")
    with refused, torch.cuda.graph(torch.cuda.CUDAGraph()):
        fast(x)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_was_refused_inside_a_capture_is_right_after_it(executor):
    """What would have been packed there would hold what the capture's replays write."""
    model, x = small(), image(3)
    fast = optimize(model, dtype=torch.float16, executor=executor, example=x)
    fast.refresh()
    with pytest.raises(CaptureError), torch.cuda.graph(torch.cuda.CUDAGraph()):
        fast(x)
    assert verify(model, fast, x).passed


@pytest.mark.parametrize("executor", EXECUTORS)
def test_autocast_and_infinities_leave_nothing_to_the_next_call(executor):
    torchs, ours = nn.Conv2d(3, 10, 5, padding=2), (nn.Conv2d(10, 10, 3, padding=1) for _ in range(2))
    model, x = fill(nn.Sequential(torchs, *ours)).cuda(), image()
    fast = optimize(model, executor=executor, example=x)
    fast.refresh()
    with torch.autocast("cuda"):
        first = fast(x)
    fast(torch.full_like(x, torch.inf))
    assert torch.equal(fast(x), first) and verify(model, fast, x).passed


def test_weights_changed_in_place():
    model, x = small(), image()
    fast = optimize(model, dtype=torch.float16, executor="triton", example=x)
    before = fast(x)
    with torch.no_grad():
        model.final_layer.bias += 1
    with pytest.raises(RuntimeError, match="refresh"):
        fast(x)
    fast.refresh()
    assert verify(model, fast, x).passed and not torch.equal(fast(x), before)


def test_shapes_are_forgotten_in_turn():
    """Of few convolutions, as cuDNN tries all its algorithms for each of them in each shape."""
    model = fill(nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))).cuda()
    fast = optimize(model, dtype=torch.float16, executor="cudnn", example=image())
    for batch in range(1, 20):
        assert fast(image(batch, (32, 32))).shape[0] == batch
    assert len(fast._prepared.programs) == fast.executor.max_plans


def test_wrong_devices():
    fast = optimize(small(), executor="triton", example=image())
    with pytest.raises(ValueError, match="the input is on cpu, but the network is on cuda"):
        fast(torch.randn(1, 3, 64, 64))
    with pytest.raises(RuntimeError, match="executor='native' cannot be used"):
        optimize(small(), executor="native")


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_on_another_gpu_than_the_current_one():
    model = small().to("cuda:1")
    x = image().to("cuda:1")
    assert verify(model, optimize(model, dtype=torch.float16, executor="triton", example=x), x).passed


def test_auto_measures_explains_and_remembers():
    model, x = small(), image()
    fast = optimize(model, dtype=torch.float16, example=x)
    verdict = fast.executor.verdict(fast.plan_for(x))
    assert not verdict.refused, str(verdict)
    assert set(verdict.times) - {"cuda", "cuda-chains"} == {"triton", "cudnn", "torch"}
    assert ("cuda" in verdict.times) == (extension().kind == "cuda")
    assert verdict.winner == min(verdict.times, key=verdict.times.get)
    assert f"fastest of {verdict.winner}" in explain(fast, x).levels[0].reason
    again = optimize(model, dtype=torch.float16, example=x)
    assert again.executor.verdict(again.plan_for(x)).times.keys() == verdict.times.keys()


def test_tuning_and_profile():
    net = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 256, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(256, 256, 3, 2, 1))  # fmt: skip
    model, x = fill(net).cuda(), image(1)
    fast = optimize(model, dtype=torch.float16, executor="triton", example=x)
    found = fast.tune(x)
    assert len(found) == 3 and all(0 < each.time <= each.model_time for each in found.values())
    assert fast.tune(x) == {}
    assert "tuned tiles" in explain(fast, x).levels[0].reason
    assert verify(model, fast, x).passed
    profile = fast.profile(x)
    assert [level for level, _ in profile] == [0, 1, 2] and all(0 < us < 1000 for _, us in profile)


def test_memory_is_what_the_plan_says():
    """Maps, packed weights and the sums that programs share, each once: a graph holds no copy of them."""
    model, x = fill(create_model("hrnet_w32.pose_coco_256x192")).half().cuda(), image(16, (256, 192), torch.float16)
    fast = optimize(model, executor="triton", example=torch.empty(1, 3, 64, 64))

    def packed():
        return sum(tensor.nbytes for pair in fast.executor.lowering._packed.values() for tensor in pair)

    torch.cuda.synchronize()
    torch._C._cuda_clearCublasWorkspaces()  # of the tests before, as the capture does
    torch.cuda.reset_peak_memory_stats()
    before, packed_before = torch.cuda.memory_allocated(), packed()
    result = fast(x)
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    tape = fast.program_for(x).run.__self__.tape
    maps = {view.data_ptr(): view for view in (each.untyped_storage() for each in tape.memory.views.values())}
    shared = [(launch.partial, launch.arrivals) for step in tape.steps for launch in step.launches]
    planned = sum(each.nbytes() for each in maps.values()) + packed() - packed_before + result.nbytes
    planned += sum(tensor.nbytes for pair in shared for tensor in pair if tensor is not None)
    assert planned < peak + (1 << 20) and peak < planned + (32 << 20)  # folding takes room for one convolution

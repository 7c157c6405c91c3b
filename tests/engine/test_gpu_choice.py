"""The cuDNN executor with torch's convolutions in cuDNN's place, and the choice among executors by measurement."""

import threading
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hrnet_fast import create_model, kernels
from hrnet_fast.engine.executor import Executor
from hrnet_fast.engine.executors import fastest_gpu
from hrnet_fast.engine.executors.cudnn import CudnnExecutor
from hrnet_fast.engine.executors.fastest_gpu import FastestGpuExecutor
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.engine.executors.torch_graph import TorchExecutor
from hrnet_fast.engine.gpu.cudnn_settings import allows_tf32, cudnn_set
from hrnet_fast.engine.gpu.device_key import DeviceKey
from hrnet_fast.engine.gpu.layout import unplaceable
from hrnet_fast.engine.tuning.cache import TuningCache
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from tests.golden import fill
from tests.networks import small_net

CPU = torch.device("cpu")
KEY = DeviceKey("A GPU", "9.0", 132, "2.11", "3.6", "0")


class TorchConvolutions:
    """What CudnnConvolutions computes, by separate torch operations."""

    def plain(self, x, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry)

    def relu(self, x, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry).relu_()

    def add_relu(self, x, z, weight, bias, geometry):
        return F.conv2d(x, weight, bias, *geometry).add_(z).relu_()


def planned(tag, batch=1, size=(64, 64)):
    model = small_net(tag)
    x = torch.randn(batch, 3, *size)
    return make_plan(inference_view(model), x), named_tensors(model), [x]


@pytest.mark.parametrize(
    ("tag", "size"),
    [
        ("pose_coco_256x192", (32, 64)),
        ("seg_cityscapes", (32, 64)),
        ("seg_ocr_lip", (32, 64)),
        ("cls_in1k", (32, 64)),
        ("det_coco", (64, 64)),  # its lowest map is half of the branches'
    ],
    ids=str,
)
def test_cudnn_executor_computes_the_plan(tag, size):
    batch = 2 if tag == "pose_coco_256x192" else 1  # the interpreter takes as many times as long
    plan, tensors, inputs = planned(tag, batch, size)
    executor = CudnnExecutor(tensors, torch.float32, CPU, convolutions=TorchConvolutions())  # sums: the interpreter's
    seen = []
    watched = executor.prepare(plan, lambda item, result: seen.append((item, result.clone())))
    with torch.inference_mode():
        exact = ReferenceExecutor(tensors, torch.float64).run(plan, inputs)
        # as verify has it: the larger of torch's errors in its two memory formats
        layouts = (torch.contiguous_format, torch.channels_last)
        plain = [[x.contiguous(memory_format=layout) for x in inputs] for layout in layouts]
        own = zip(*(ReferenceExecutor(tensors, torch.float32).run(plan, x) for x in plain))
        allowed = [2 * max(relative_l2(y, want) for y in both) for both, want in zip(own, exact)]
        results = watched(inputs)
        for result, want, limit in zip(results, exact, allowed):
            assert result.shape == want.shape
            assert relative_l2(result, want) <= limit
        if batch == 2:
            assert all(map(torch.equal, executor.prepare(plan)(inputs), results)), "watching changes nothing"
    assert [item for item, _ in seen] == list(plan.items())
    assert all(result.shape == plan.values[item.out].shape for item, result in seen)


class Head(nn.Module):
    """Logits, and the class that a pointwise convolution of the map at full size finds."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 60, 1), nn.Conv2d(60, 1, 1)

    def forward(self, x):
        return self.last(F.interpolate(self.first(x), scale_factor=4, mode="bilinear"))


def test_what_a_32_bit_index_does_not_reach_is_played_by_plain_torch():
    """Its sums are a kernel's with such an index, too; the map that a convolution forms counts, of whatever size its
    own are."""
    with torch.device("meta"):
        plan = make_plan(Head().eval(), torch.empty(2, 3, 1024, 1024))
    (forming,) = (item for item in plan.items() if item.has_prologue)
    assert "(2, 60, 4096, 4096) has more elements than a 32-bit index reaches" in unplaceable(plan)
    executor = CudnnExecutor({}, torch.float32, CPU, convolutions=TorchConvolutions())
    player = executor.player(forming, plan)
    assert player.compute and not player.source and not player.total


@pytest.fixture(params=["ieee", "tf32"])
def precision(request):
    """Of torch's convolutions, told in its newer way."""
    before, torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.conv.fp32_precision, request.param
    yield request.param
    torch.backends.cudnn.conv.fp32_precision = before


def test_the_precision_of_convolutions_may_be_told_in_torch_s_newer_way(pose, precision, monkeypatch):
    """Then torch raises where it is asked in the older one."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    assert allows_tf32() == (precision == "tf32")
    plan, tensors, inputs = pose
    seen = []

    class Seeing(TorchConvolutions):
        def plain(self, x, *rest):
            seen.append((torch.backends.cudnn.benchmark, torch.backends.cudnn.conv.fp32_precision))
            return super().plain(x, *rest)

    CudnnExecutor(tensors, torch.float32, CPU, convolutions=Seeing()).prepare(plan)(inputs)
    assert set(seen) == {(True, precision)} and not torch.backends.cudnn.benchmark


def test_one_thread_at_a_time_has_torch_s_settings(monkeypatch):
    """Another one would restore what the first has set, after that one has restored its own."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    seen = []

    def other():
        with cudnn_set(deterministic=True):
            seen.append(torch.backends.cudnn.benchmark)

    thread = threading.Thread(target=other)
    with cudnn_set(benchmark=True), cudnn_set(enabled=True):
        thread.start()
        thread.join(0.1)
        assert seen == [] and torch.backends.cudnn.benchmark
    thread.join()
    assert seen == [False]
    assert not torch.backends.cudnn.benchmark and not torch.backends.cudnn.deterministic


@pytest.mark.parametrize("capturing", [False, True])
def test_algorithms_are_not_tried_inside_a_capture(capturing, monkeypatch):
    """Of a caller's, by a thread that does not know what another one's trials chose: events are waited for there."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    net, x = nn.Conv2d(3, 8, 3).eval(), torch.randn(1, 3, 8, 8)
    tried = []

    class Seeing(TorchConvolutions):
        def plain(self, x, *rest):
            tried.append(torch.backends.cudnn.benchmark)
            return super().plain(x, *rest)

    executor = CudnnExecutor(named_tensors(net), torch.float32, CPU, convolutions=Seeing())
    tape = executor.tape(make_plan(inference_view(net), x))
    tape.device = torch.device("cuda")
    tape.load([x])
    tape.play()
    assert tried == [not capturing]


class Counting(TorchConvolutions):
    """Counts what would be launched."""

    def __init__(self):
        self.count = 0

    def plain(self, x, weight, bias, geometry):
        self.count += 1
        return x.new_empty(len(x), len(weight), *self.size(x, weight, geometry))

    def relu(self, x, weight, bias, geometry):
        return self.plain(x, weight, bias, geometry)

    def add_relu(self, x, z, weight, bias, geometry):
        assert z.shape[2:] == self.size(x, weight, geometry)
        return self.plain(x, weight, bias, geometry)

    @staticmethod
    def size(x, weight, geometry):
        stride, padding, _, _ = geometry
        return tuple(
            (side + 2 * p - k) // s + 1 for side, p, k, s in zip(x.shape[2:], padding, weight.shape[2:], stride)
        )


def test_cudnn_launches_a_convolution_each_and_sums_once_a_level():
    model = fill(create_model("hrnet_w32.pose_coco_256x192"))
    x = torch.randn(1, 3, 64, 64)
    plan, convolutions, sums = make_plan(inference_view(model), x), Counting(), []

    def sum_all(pending, values):
        sums.append(len(pending))
        return [torch.empty(each.shape) for each in pending]

    executor = CudnnExecutor(named_tensors(model), torch.float32, CPU, convolutions=convolutions, sum_all=sum_all)
    executor.tape(plan).play()
    assert convolutions.count == 293
    assert len(sums) == 9 < sum(sums)


class Fake(Executor):
    """An executor that computes right, wrong or not at all, and takes `time` microseconds by the clock of the tests."""

    def __init__(self, name, tensors, time, fault=None):
        self.name, self.time, self.fault = name, time, fault
        self.inner = ReferenceExecutor(tensors, torch.float32)
        self.prepared, self.released = 0, False

    def prepare(self, plan, watch=None):
        self.prepared += 1
        if self.fault == "crash":
            raise RuntimeError("out of order\nand more")

        def run(inputs):
            results = self.inner.prepare(plan, watch)(inputs)
            return [y * 1.001 for y in results] if self.fault == "wrong" else results

        run.time = self.time
        return run

    def explain(self, plan, level):
        return self.name, "fake"

    def release(self):
        self.released = True


def clock(work):
    return getattr(work.func, "time", 1.0)


@pytest.fixture(scope="module")
def pose():
    return planned("pose_coco_256x192")


def contest(pose, cache, *candidates):
    _, tensors, _ = pose
    return FastestGpuExecutor(tensors, torch.float32, CPU, candidates, clock, cache, KEY)


def test_the_fastest_right_one_wins(pose, tmp_path):
    plan, tensors, inputs = pose
    fakes = [Fake("slow", tensors, 9.0), Fake("wrong", tensors, 1.0, "wrong"), Fake("quick", tensors, 5.0),
             Fake("broken", tensors, 0.0, "crash")]  # fmt: skip
    executor = contest(pose, TuningCache(tmp_path), *fakes)
    run = executor.prepare(plan)
    verdict = executor.verdict(plan)
    assert [fake.name for fake in fakes if not fake.released] == ["quick"]
    assert verdict.winner == "quick" and verdict.times == {"slow": 9.0, "quick": 5.0}
    assert verdict.refused["broken"] == "RuntimeError: out of order"
    assert "above" in verdict.refused["wrong"] and "torch's own" in verdict.refused["wrong"]
    name, reason = executor.explain(plan, plan.levels[0])
    assert name == "quick" and "fastest of quick 5 us, slow 9 us; wrong refused: its error" in reason
    assert torch.equal(run(inputs)[0], ReferenceExecutor(tensors, torch.float32).run(plan, inputs)[0])


def test_a_winner_is_remembered_and_checked_again(pose, tmp_path):
    plan, tensors, _ = pose
    contest(pose, TuningCache(tmp_path), Fake("a", tensors, 2.0), Fake("b", tensors, 1.0)).prepare(plan)
    a, b = Fake("a", tensors, 2.0), Fake("b", tensors, 1.0)
    again = contest(pose, TuningCache(tmp_path), a, b)
    again.prepare(plan)
    assert (a.prepared, b.prepared) == (0, 1) and again.verdict(plan).times == {"a": 2.0, "b": 1.0}
    again.forget(plan)
    a.time = 0.5
    assert again.verdict(plan).winner == "a"
    spoilt = contest(pose, TuningCache(tmp_path), Fake("a", tensors, 2.0), Fake("b", tensors, 1.0, "wrong"))
    spoilt.prepare(plan)
    assert spoilt.verdict(plan).winner == "a"


@pytest.mark.parametrize("change", ["candidates", "extension"])
def test_a_winner_is_measured_again_among_others_or_with_other_kernels(pose, tmp_path, monkeypatch, change):
    plan, tensors, _ = pose
    contest(pose, TuningCache(tmp_path), Fake("a", tensors, 2.0), Fake("b", tensors, 1.0)).prepare(plan)
    fakes = [Fake("a", tensors, 2.0), Fake("b", tensors, 3.0)]
    if change == "candidates":
        fakes.append(Fake("c", tensors, 4.0))
    else:
        monkeypatch.setattr(kernels, "extension", lambda: SimpleNamespace(digest="another build"))
    again = contest(pose, TuningCache(tmp_path), *fakes)
    again.prepare(plan)
    assert again.verdict(plan).winner == "a"


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_right_is_computed_without_trying_out_algorithms(pose, tmp_path, monkeypatch, asked):
    """In float64 and by plain torch; a candidate has what the user asked for."""
    plan, tensors, _ = pose
    seen, run = [], ReferenceExecutor.run

    def watched(self, *arguments):
        seen.append((self.dtype, torch.backends.cudnn.benchmark))
        return run(self, *arguments)

    monkeypatch.setattr(torch.backends.cudnn, "benchmark", asked)
    monkeypatch.setattr(ReferenceExecutor, "run", watched)
    contest(pose, TuningCache(tmp_path), TorchExecutor(tensors, torch.float32, CPU)).verdict(plan)
    assert seen[:2] == [(torch.float64, False), (torch.float32, False)]
    assert len(seen) > 2 and all(each == (torch.float32, asked) for each in seen[2:])
    assert torch.backends.cudnn.benchmark == asked


def test_candidates_are_timed_on_their_own_gpu(pose, tmp_path, monkeypatch):
    """Events of another one would time the host alone."""
    current = []

    @contextmanager
    def on_device(device):
        current.append(device)
        yield
        current.pop()

    def clock(work):
        assert current == [CPU]
        return 1.0

    monkeypatch.setattr(fastest_gpu, "on_device", on_device)
    plan, tensors, _ = pose
    candidates = [Fake("a", tensors, 1.0)]
    FastestGpuExecutor(tensors, torch.float32, CPU, candidates, clock, TuningCache(tmp_path), KEY).prepare(plan)


def test_a_check_that_the_memory_is_too_small_for_says_so(pose, tmp_path, monkeypatch):
    def run(self, *arguments):
        raise torch.cuda.OutOfMemoryError("Tried to allocate 9 GiB")

    plan, tensors, _ = pose
    monkeypatch.setattr(ReferenceExecutor, "run", run)
    with pytest.raises(RuntimeError, match=r"against float64 .* name one, e.g. executor='triton' \(Tried to allocate"):
        contest(pose, TuningCache(tmp_path), Fake("a", tensors, 1.0)).prepare(plan)


def test_where_none_is_left_all_reasons_are_told(pose, tmp_path):
    plan, tensors, _ = pose
    executor = contest(pose, TuningCache(tmp_path), Fake("a", tensors, 1.0, "crash"), Fake("b", tensors, 1.0, "wrong"))
    with pytest.raises(RuntimeError, match="no executor can play PoseHRNet here .*a: RuntimeError: out of order; b"):
        executor.prepare(plan)


def test_plain_torch_is_a_candidate(pose, tmp_path):
    plan, tensors, inputs = pose
    torch_executor = TorchExecutor(tensors, torch.float32, CPU)
    executor = FastestGpuExecutor(
        tensors, torch.float32, CPU, [torch_executor], lambda work: 1.0, TuningCache(tmp_path), KEY
    )
    run = executor.prepare(plan)
    with torch.inference_mode():
        exact, plain = (ReferenceExecutor(tensors, t).run(plan, inputs)[0] for t in (torch.float64, torch.float32))
        assert within_tolerance(relative_l2(run(inputs)[0], exact), relative_l2(plain, exact))


def test_the_weights_that_a_graph_reads_live_as_long_as_its_run(pose):
    """It has their addresses: also where the executor lets go of what it keeps for plans to come."""
    plan, tensors, inputs = pose
    executor = TorchExecutor(tensors, torch.float32, CPU)
    run = executor.prepare(plan)
    with torch.inference_mode():
        run(inputs)
    given = {id(tensor) for tensor in tensors.values()}
    folded = [each for pair in executor.interpreter._folded.values() for each in pair if each is not None]
    made = [weakref.ref(each) for each in folded if id(each) not in given]
    del folded
    executor.release()
    assert not executor.interpreter._folded
    assert made and all(each() is not None for each in made)
    del run
    assert all(each() is None for each in made)

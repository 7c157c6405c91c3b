"""The faster of two CPU executors, as timed; HRNET_FAST_CPU_ISA=portable makes `auto` use it, in test_cpu_isa.py."""

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.executor import NoChoice
from hrnet_fast.engine.executors import fastest_cpu
from hrnet_fast.engine.executors.fastest_cpu import FastestCpuExecutor
from hrnet_fast.engine.executors.onednn import OneDnnExecutor, has_instructions
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from hrnet_fast.timing import Timing
from tests.golden import fill

CPU = torch.device("cpu")


class Counted(ReferenceExecutor):
    """Counts what it prepares; tunes: what tuning it does."""

    def __init__(self, tensors, tunes=None):
        super().__init__(tensors, torch.float32, CPU)
        self.tunes, self.prepared = tunes, 0

    def prepare(self, plan, watch=None):
        self.prepared += 1
        return super().prepare(plan, watch)

    def tune(self, plan, progress=iter, again=False, seconds=0.0):
        if self.tunes is None:
            raise NoChoice("nothing to tune")
        self.tunes()
        return {"a convolution": 1}


@pytest.fixture(autouse=True)
def paces(monkeypatch):
    """Seconds by the name of a candidate, which takes them for the stopwatch alone."""
    seconds = {}

    def interleave(calls, **options):
        for call in calls.values():
            call()
        return {name: Timing([seconds[name]]) for name in calls}

    monkeypatch.setattr(fastest_cpu, "interleave", interleave)
    return seconds


@pytest.fixture
def net():
    model = fill(create_model("hrnet_w18_small.pose_coco_256x192")).eval()
    x = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)
    with torch.no_grad():
        want = model.double()(x.double())
        plain = model.float()(x)
    return make_plan(inference_view(model), x), named_tensors(model), x, plain, want


def test_the_faster_one_plays_and_is_timed_once(net, paces):
    plan, tensors, x, plain, want = net
    slow, fast = Counted(tensors), Counted(tensors)
    executor = FastestCpuExecutor({"slow": slow, "fast": fast})
    paces |= {"slow": 0.3, "fast": 0.1}
    with torch.inference_mode():
        (first,) = executor.prepare(plan)([x])
        (second,) = executor.prepare(plan)([x])
    assert executor.winner(plan) is fast
    assert (slow.prepared, fast.prepared) == (1, 2)
    assert within_tolerance(relative_l2(first, want), relative_l2(plain, want))
    assert torch.equal(first, second)
    assert executor.explain(plan, plan.levels[0])[1].endswith("; fastest of fast 100000 us, slow 300000 us")


class Refusing(Counted):
    def prepare(self, plan, watch=None):
        raise RuntimeError("not this plan")


def test_one_that_refuses_leaves_it_to_the_others(net, paces):
    plan, tensors, *_ = net
    paces |= {"one": 0.2}
    executor = FastestCpuExecutor({"refusing": Refusing(tensors), "one": Counted(tensors)})
    assert executor.winner(plan) is executor.candidates["one"]
    assert executor.explain(plan, plan.levels[0])[1].endswith("; refusing refused: not this plan")
    with pytest.raises(RuntimeError, match=r"no executor can play PoseHRNet here \(refusing: not this plan\)"):
        FastestCpuExecutor({"refusing": Refusing(tensors)}).prepare(plan)


def test_those_that_lost_keep_no_weights(net, paces):
    plan, tensors, *_ = net
    paces |= {"slow": 0.3, "fast": 0.1}
    slow, fast = Counted(tensors), Counted(tensors)
    FastestCpuExecutor({"slow": slow, "fast": fast}).prepare(plan)
    assert not slow.interpreter._folded and fast.interpreter._folded


def test_results_are_the_callers_own_whoever_plays(net, paces):
    plan, tensors, x, plain, want = net
    executor = FastestCpuExecutor({"onednn": OneDnnExecutor(tensors, torch.float32), "slow": Counted(tensors)})
    paces |= {"slow": 0.3, "onednn": 0.1}
    with torch.inference_mode():
        (result,) = executor.prepare(plan)([x])
    assert executor.winner(plan).name == "onednn"
    assert not result.is_inference() and result.is_contiguous(memory_format=torch.channels_last)
    assert within_tolerance(relative_l2(result, want), relative_l2(plain, want))


def test_the_winner_tells_of_its_items(net, paces):
    plan, tensors, x, *_ = net
    paces |= {"slow": 0.3, "fast": 0.1}
    executor = FastestCpuExecutor({"slow": Counted(tensors), "fast": Counted(tensors)})
    seen = []
    with torch.inference_mode():
        executor.prepare(plan, lambda item, result: seen.append(item))([x])
    assert len(seen) == len(list(plan.items()))


def test_tuning_one_times_them_all_anew(net, paces):
    plan, tensors, *_ = net
    paces |= {"fixed": 0.2, "tuned": 0.3}
    tuned = Counted(tensors, tunes=lambda: paces.update(tuned=0.1))
    executor = FastestCpuExecutor({"fixed": Counted(tensors), "tuned": tuned})
    assert executor.winner(plan) is executor.candidates["fixed"]
    assert executor.tune(plan) == {"a convolution": 1}
    assert executor.winner(plan) is tuned
    with pytest.raises(NoChoice, match="nothing to tune"):
        FastestCpuExecutor({"fixed": Counted(tensors)}).tune(plan)


def test_float32_needs_no_instructions_of_its_own():
    assert not has_instructions(torch.float32)
    assert has_instructions(torch.bfloat16) == torch.ops.mkldnn._is_mkldnn_bf16_supported()

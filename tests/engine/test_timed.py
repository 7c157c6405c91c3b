"""The faster of two CPU executors, as timed; HRNET_FAST_CPU_ISA=portable makes `auto` use it, in test_cpu_isa.py."""

import time

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.executor import NoChoice
from hrnet_fast.engine.executors.onednn import OneDnnExecutor, has_instructions
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.engine.executors.timed import TimedExecutor
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from tests.golden import fill

CPU = torch.device("cpu")


class Delayed(ReferenceExecutor):
    """Takes so many seconds a run, and counts what it prepares."""

    def __init__(self, tensors, seconds: float, tunes: bool = False):
        super().__init__(tensors, torch.float32, CPU)
        self.seconds, self.tunes, self.prepared = seconds, tunes, 0

    def prepare(self, plan, watch=None):
        self.prepared += 1
        run = super().prepare(plan, watch)

        def delayed(inputs):
            time.sleep(self.seconds)
            return run(inputs)

        return delayed

    def tune(self, plan, progress=iter, again=False, seconds=0.0):
        if not self.tunes:
            raise NoChoice("nothing to tune")
        self.seconds = 0.0
        return {"a convolution": 1}


@pytest.fixture
def net():
    model = fill(create_model("hrnet_w18_small.pose_coco_256x192")).eval()
    x = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)
    with torch.no_grad():
        want = model.double()(x.double())
        plain = model.float()(x)
    return make_plan(inference_view(model), x), named_tensors(model), x, plain, want


def test_the_faster_one_plays_and_is_timed_once(net):
    plan, tensors, x, plain, want = net
    slow, fast = Delayed(tensors, 0.3), Delayed(tensors, 0.0)
    executor = TimedExecutor({"slow": slow, "fast": fast})
    with torch.inference_mode():
        (first,) = executor.prepare(plan)([x])
        (second,) = executor.prepare(plan)([x])
    assert executor.winner(plan) is fast
    assert (slow.prepared, fast.prepared) == (1, 2)
    assert within_tolerance(relative_l2(first, want), relative_l2(plain, want))
    assert torch.equal(first, second)
    assert executor.explain(plan, plan.levels[0])[1].split("; fastest of ")[1].startswith("fast ")


def test_results_are_the_callers_own_whoever_plays(net):
    plan, tensors, x, plain, want = net
    executor = TimedExecutor({"onednn": OneDnnExecutor(tensors, torch.float32), "slow": Delayed(tensors, 0.5)})
    assert executor.hands_over
    with torch.inference_mode():
        (result,) = executor.prepare(plan)([x])
    assert executor.winner(plan).name == "onednn" and not executor.winner(plan).hands_over
    assert not result.is_inference() and result.is_contiguous(memory_format=torch.channels_last)
    assert within_tolerance(relative_l2(result, want), relative_l2(plain, want))


def test_the_winner_tells_of_its_items(net):
    plan, tensors, x, *_ = net
    executor = TimedExecutor({"slow": Delayed(tensors, 0.3), "fast": Delayed(tensors, 0.0)})
    seen = []
    with torch.inference_mode():
        executor.prepare(plan, lambda item, result: seen.append(item))([x])
    assert len(seen) == len(list(plan.items()))


def test_tuning_one_times_them_all_anew(net):
    plan, tensors, *_ = net
    tuned = Delayed(tensors, 0.5, tunes=True)
    executor = TimedExecutor({"fixed": Delayed(tensors, 0.2), "tuned": tuned})
    assert executor.winner(plan) is not tuned
    assert executor.tune(plan) == {"a convolution": 1}
    assert executor.winner(plan) is tuned
    with pytest.raises(NoChoice, match="nothing to tune"):
        TimedExecutor({"fixed": Delayed(tensors, 0.0)}).tune(plan)


def test_float32_needs_no_instructions_of_its_own():
    assert not has_instructions(torch.float32)
    assert has_instructions(torch.bfloat16) == torch.ops.mkldnn._is_mkldnn_bf16_supported()

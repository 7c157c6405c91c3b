"""Labels and masks on the GPU executors, played on a CPU: in memory of their own dtype, beside bordered maps."""

import random

import pytest
import torch

from hrnet_fast.engine.executors.fastest_gpu import Contest
from hrnet_fast.engine.executors.reference import ReferenceExecutor
from hrnet_fast.engine.executors.torch_graph import TorchExecutor
from hrnet_fast.engine.gpu.tape import GraphedTape
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import make_plan, named_tensors
from hrnet_fast.weights.random import fill_weights
from tests.engine.test_gpu_choice import Fake
from tests.engine.test_labels import Branches
from tests.engine.test_random_networks_on_gpu import CPU, player_of
from tests.kernels.interpreter import use_interpreter


def head(net, y):
    mask, labels = y > 0, y.argmax(1, keepdim=True)
    more = labels.clamp(1, 3) + y.argmin(1, keepdim=True)  # in the memory of a map's labels that are dead
    return {"y": y, "labels": labels, "mask": mask, "more": more, "after": net.after(y.masked_fill(mask, 0)),
            "bytes": labels[:, 0].byte(), "flags": mask.any(1)}  # fmt: skip


def planned(head, *size):
    net, x = fill_weights(Branches(head)).eval(), torch.randn(2, 3, *size)
    return make_plan(net, x), named_tensors(net), [x]


@pytest.mark.parametrize("name", ["cuda", "cuda-chains", "cudnn", "triton"])
def test_labels_are_those_of_the_executors_own_maps(name, monkeypatch):
    if name in ("triton", "cudnn"):
        use_interpreter(monkeypatch)
    (plan, tensors, inputs), dtype = planned(head, 17, 13), torch.float16
    player = player_of(name, tensors, dtype, random.Random(0))
    tape = player.executor.tape(plan)
    with torch.inference_mode():
        for given in ([-x for x in inputs], inputs):
            tape.load(given)
            player.play(tape)
        y, labels, mask, more, after, small, flags = tape.results()
        exact, own = (ReferenceExecutor(tensors, kind).run(plan, inputs) for kind in (torch.float64, dtype))
    assert torch.equal(mask, y > 0) and torch.equal(labels, y.argmax(1, keepdim=True))
    assert torch.equal(more, labels.clamp(1, 3) + y.argmin(1, keepdim=True))
    assert torch.equal(small, labels[:, 0].byte()) and torch.equal(flags, mask.any(1))
    for index, result in ((0, y), (4, after)):
        assert within_tolerance(relative_l2(result, exact[index]), relative_l2(own[index], exact[index]))
    assert [r.dtype for r in GraphedTape(tape).run(inputs)][:4] == [torch.float32, torch.int64, torch.bool, torch.int64]


def test_a_candidate_whose_labels_are_wrong_is_refused():
    whole, tensors, inputs = planned(lambda net, y: y, 64, 48)
    plan = planned(lambda net, y: y.argmax(1), 64, 48)[0]
    contest = Contest(plan, inputs, tensors, torch.float32, CPU)
    noise = torch.zeros(1, 5, 1, 1).index_fill(1, torch.tensor(2), 1)
    with torch.inference_mode():
        for candidate in (TorchExecutor(tensors, torch.float32, CPU), ReferenceExecutor(tensors, torch.float64)):
            assert contest.enter(candidate)[1] == ""
        exact = ReferenceExecutor(tensors, torch.float64).run(whole, inputs)[0]
        for off, refused in ((1e-6, False), (0.1, True)):
            labels = (exact + off * noise).argmax(1)
            candidate = Fake("labels", tensors, 1.0)
            candidate.prepare = lambda plan, labels=labels: lambda inputs: [labels]
            assert ("is above" in contest.enter(candidate)[1]) == refused

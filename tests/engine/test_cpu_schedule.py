"""How evenly the levels of whole networks are dealt out, by the costs that the schedule itself assumes."""

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.executors.native import NativeExecutor
from hrnet_fast.plan import make_plan, named_tensors

from .native_nets import by_any_isa

NETS = {"hrnet_w18.cls_in1k": (224, 224), "hrnet_w32.pose_coco_256x192": (256, 192)}


@by_any_isa
@pytest.mark.parametrize("name", NETS)
def test_few_threads_have_little_to_wait_for(name, isa):
    net = create_model(name)
    plan = make_plan(net, torch.zeros(1, 3, *NETS[name]))
    program = NativeExecutor(named_tensors(net), isa=isa).prepare(plan).__self__
    total = sum(map(sum, program.native.shares(1)))
    for threads, least in {2: 0.95, 4: 0.95, 8: 0.93, 16: 0.8}.items():
        levels = program.native.shares(threads)
        assert len(levels) == len(program.plan.levels) and all(len(shares) == threads for shares in levels)
        assert sum(map(sum, levels)) == pytest.approx(total)  # every unit is dealt out once
        assert total / threads / sum(map(max, levels)) >= least, threads

"""What the CUDA executor alone must show on a GPU; test_engine.py has what all executors must. Skipped elsewhere."""

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, optimize, verify
from hrnet_fast.engine.executors.cuda_chains import CudaChainExecutor
from hrnet_fast.kernels import extension
from hrnet_fast.kernels.cuda_level import Level
from hrnet_fast.plan import named_tensors
from tests.golden import fill
from tests.kernels.cuda_emulator import emulate
from tests.networks import small_net

WHY = "there is no GPU" if not torch.cuda.is_available() else str(extension().reason)
pytestmark = pytest.mark.skipif(not torch.cuda.is_available() or extension().kind != "cuda", reason=WHY)


def small(tag="pose_coco_256x192"):
    return small_net(tag).cuda()


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("hrnet_w32.pose_coco_256x192", (256, 192)),
        ("hrnet_w48.seg_cityscapes", (256, 512)),
        ("hrnet_w18.cls_in1k", (224, 224)),
    ],
    ids=["W32-pose", "W48-seg", "W18-cls"],
)
@pytest.mark.parametrize("executor", ["cuda", "cuda-chains"])
def test_large_networks_level_by_level(executor, name, size, batch):
    model, x = fill(create_model(name)).cuda(), torch.randn(batch, 3, *size, device="cuda")
    report = verify(model, optimize(model, dtype=torch.float16, executor=executor, example=x), x, levels=True)
    assert report.passed and all(level.passed for level in report.levels), str(report)


def test_every_chain_that_there_is():
    model, x = fill(create_model("hrnet_w32.pose_coco_256x192")).cuda(), torch.randn(2, 3, 256, 192, device="cuda")
    fast = optimize(model, dtype=torch.float16, executor="cuda-chains", example=x)
    tensors = named_tensors(fast.original)
    fast._prepared.executor = CudaChainExecutor(
        tensors, torch.float16, fast.device, choice_of_chains=lambda plan, found: found
    )
    report = verify(model, fast, x, levels=True)
    assert all(level.passed for level in report.levels), str(report)


@pytest.mark.parametrize("executor", ["cuda", "cuda-chains"])
def test_overlapping_launches_give_the_same_bits_every_time(executor):
    model, x = small(), torch.randn(2, 3, 64, 96, device="cuda")
    fast = optimize(model, dtype=torch.bfloat16, executor=executor, example=x)
    first = fast(x)
    assert all(torch.equal(fast(x), first) for _ in range(50))


def test_float32_without_tf32_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    with pytest.raises(RuntimeError, match="executor='cuda' cannot be used: the CUDA level kernel multiplies float32"):
        optimize(small(), executor="cuda")


def test_explain_tells_tiles_and_waves_of_this_gpu():
    plan = explain(small(), (1, 3, 64, 64), executor="cuda", dtype=torch.float16)
    assert all(level.executor == "cuda" for level in plan.levels)
    assert " CTAs in " in plan.levels[0].reason and " waves of " in plan.levels[0].reason


def test_a_profile_has_every_level():
    x = torch.randn(1, 3, 64, 64, device="cuda")
    fast = optimize(small(), dtype=torch.float16, executor="cuda", example=x)
    profile = fast.profile(x)
    assert [level for level, _ in profile] == list(range(len(fast.plan_for(x).levels)))
    assert all(0 < us < 1000 for _, us in profile)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_one_level_gives_what_the_emulator_gives(dtype):
    """To the rounding of the tensor cores, whose order of sums the emulator does not know."""
    x = torch.randn(1, 3, 64, 64, device="cuda")
    fast = optimize(small(), dtype=dtype, executor="cuda", example=x)
    tape = fast.executor.tape(fast.plan_for(x))
    tape.load([x])
    for step in tape.steps[:4]:
        step()
    (launch,) = tape.steps[3].launches
    here = {tensor.data_ptr(): tensor.cpu() for tensor in (*launch.inputs, *launch.outputs)}
    want = [here[tensor.data_ptr()].clone() for tensor in launch.outputs]
    level = Level.from_buffer_copy(launch.description.numpy())
    for item in level.item[: level.items]:
        for pointer in ("source", "weight", "bias", "out"):
            address = getattr(item, pointer)
            setattr(item, pointer, address and here[address].data_ptr())
    for term in level.term[: level.terms]:
        term.data = here[term.data].data_ptr()
    emulate([level], dtype, *([here[t.data_ptr()] for t in group] for group in (launch.inputs, launch.outputs)))
    for tensor, expected in zip(launch.outputs, want):
        torch.testing.assert_close(here[tensor.data_ptr()], expected)


@pytest.mark.parametrize("executor", ["cuda", "cuda-chains", "auto"])
def test_tuned_tiles_are_kept_played_and_right(executor, tmp_path, monkeypatch):
    """Of few convolutions, as "auto" has Triton compile every tile that it tries."""
    monkeypatch.setenv("HRNET_FAST_CACHE", str(tmp_path))
    net = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(64, 64, 3, 2, 1))  # fmt: skip
    model, x = fill(net).cuda(), torch.randn(1, 3, 64, 96, device="cuda")
    fast = optimize(model, dtype=torch.float16, executor=executor, example=x)
    found = fast.tune(x)
    assert found and found.left == 0 and all(0 < each.time <= each.model_time for each in found.values())
    assert fast.tune(x) == {} and verify(model, fast, x).passed
    if executor == "auto":
        assert {"cuda", "cuda-chains"} <= {name.partition(": ")[0] for name in found}
    else:
        assert " tuned tiles " in explain(fast, x).levels[0].reason


def test_levels_of_several_branches_are_tuned_within_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("HRNET_FAST_CACHE", str(tmp_path))
    model, x = small(), torch.randn(2, 3, 128, 96, device="cuda")
    fast = optimize(model, dtype=torch.float16, executor="cuda", example=x)
    found = fast.tune(x, seconds=10)
    assert found and all(0 < each.time <= each.model_time for each in found.values())
    assert verify(model, fast, x).passed

"""Tuning the tiles of the CUDA executors, by a clock that the tests make up."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from hrnet_fast.engine.executors.cuda import CudaExecutor
from hrnet_fast.engine.executors.cuda_chains import CudaChainExecutor
from hrnet_fast.engine.executors.fastest_gpu import FastestGpuExecutor
from hrnet_fast.engine.executors.torch_graph import TorchExecutor
from hrnet_fast.engine.gpu.cuda_lower import CudaChoice, CudaLowering
from hrnet_fast.engine.gpu.cuda_problem import CudaProblem
from hrnet_fast.engine.gpu.cuda_tile_choices import from_entry, likely
from hrnet_fast.engine.gpu.cuda_tiles import choose, most_shared, possible
from hrnet_fast.engine.gpu.gpu import Gpu
from hrnet_fast.engine.tuning.cache import TuningCache
from hrnet_fast.kernels import cuda_level
from hrnet_fast.kernels.cuda_level import CudaConv, steps_of
from tests.engine.emulated import CPU, HALF, KEY, assert_as_exact_as_torch, launch
from tests.engine.test_cuda_tiles import plan_of
from tests.networks import planned, small_net


def clock(step):
    """A GPU that likes small tiles."""
    works = [each for one in step.launches for work in one.works for each in steps_of(work)]
    tiles = [work.tile for work in works if isinstance(work, CudaConv)]
    return 1.0 + sum(tile.height * tile.width * tile.channels * tile.rounds for tile in tiles)


def make(kind, tensors, cache, **options):
    executor = kind(tensors, HALF, CPU, gpu=Gpu(), cache=cache, **options)
    executor.key, executor.clock = KEY, clock
    return executor


@pytest.fixture(scope="module")
def small():
    return planned(small_net(), torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("kind", [CudaExecutor, CudaChainExecutor])
def test_the_fastest_of_what_is_timed_is_kept_and_played(kind, small, tmp_path):
    plan, tensors = small
    executor = make(kind, tensors, TuningCache(tmp_path))
    found = executor.tune(plan)
    assert len(found) > 10 and all(each.time <= each.model_time for each in found.values())
    assert sum(each.time for each in found.values()) < 0.9 * sum(each.model_time for each in found.values())
    assert executor.tune(plan) == {} and executor.tune(plan, again=True).keys() == found.keys()
    later = make(kind, tensors, TuningCache(tmp_path), op=launch)
    x = [torch.randn(1, 3, 64, 64)]
    with torch.inference_mode():
        results = later.prepare(plan)(x)
    assert_as_exact_as_torch(plan, tensors, x, results, HALF)
    reasons = [later.explain(plan, level)[1] for level in plan.levels]
    assert any(" tuned tiles " in reason for reason in reasons) and not any("modelled" in reason for reason in reasons)


def test_entries_that_do_not_fit_are_not_used():
    gpu, own = Gpu(), CudaProblem(1, 64, 48, 32, 32, 3, 1, early=True)
    good = CudaChoice(choose((own,), gpu)).as_entry()
    assert from_entry(good, (own,), gpu).as_entry() == good
    (tile,) = good["tiles"]
    bad = [{"columns": 56}, {"chunk": 12}, {"warps": [8, 8, 8]}, {"warps": 8}, {"rounds": 0}, {"depth": 3}]
    for entry in (None, {}, {"tiles": []}, {"tiles": [[tile]]}, *({"tiles": [tile | change]} for change in bad)):
        assert from_entry(entry, (own,), gpu) is None
    assert from_entry(good, (own, own), gpu) is None


def test_tiles_of_another_kernel_are_measured_again(small, tmp_path, monkeypatch):
    plan, tensors = small
    built = SimpleNamespace(build={"cuda_level": "0" * 64})
    monkeypatch.setattr(cuda_level, "extension", lambda: built)
    found = make(CudaExecutor, tensors, TuningCache(tmp_path)).tune(plan)
    assert make(CudaExecutor, tensors, TuningCache(tmp_path)).tune(plan) == {}
    built.build["cuda_level"] = "1" * 64
    later = make(CudaExecutor, tensors, TuningCache(tmp_path))
    assert {later.origin(plan, level) for level in plan.levels} == {"modelled"}
    assert later.tune(plan).keys() == found.keys()


def test_what_is_tried_is_possible_and_differs():
    gpu = Gpu()
    for own in (CudaProblem(1, 64, 48, 32, 32, 3, 1, early=True), CudaProblem(64, 8, 6, 256, 256, 3, 1)):
        tiles = likely(own, gpu)
        assert 4 <= len(tiles) == len(set(tiles)) <= 16
        assert set(tiles) <= set(possible(own, gpu, most_shared(gpu, 1)))


def test_signatures_tell_levels_apart():
    _, plan = plan_of("hrnet_w32.pose_coco_256x192", (256, 192), 1)
    half, bfloat = (CudaLowering({}, dtype, CPU, False) for dtype in (HALF, torch.bfloat16))
    by_name = {}
    for level in plan.levels:
        by_name.setdefault(half.signature(plan, level), set()).add(half.problems(plan, level))
    assert 10 < len(by_name) < 60 and all(len(problems) == 1 for problems in by_name.values())
    assert bfloat.signature(plan, plan.levels[0]) not in by_name


def test_auto_tunes_all_that_has_tiles(small, tmp_path):
    plan, tensors = small
    cache = TuningCache(tmp_path)
    candidates = [make(kind, tensors, cache) for kind in (CudaExecutor, CudaChainExecutor)]
    candidates.append(TorchExecutor(tensors, HALF, CPU))
    auto = FastestGpuExecutor(tensors, HALF, CPU, candidates, cache=cache, key=KEY)
    found = auto.tune(plan)
    assert {name.partition(": ")[0] for name in found} == {"cuda", "cuda-chains"}
    shown = []
    assert auto.tune(plan, progress=partial(map, shown.append)) == {} == dict.fromkeys(shown)


@pytest.mark.parametrize("name", ["cuda", "auto"])
def test_without_a_gpu_there_is_nothing_to_tune(name, small):
    plan, tensors = small
    executor = CudaExecutor(tensors, HALF, CPU, gpu=Gpu())
    if name == "auto":
        executor = FastestGpuExecutor(tensors, HALF, CPU, [executor, TorchExecutor(tensors, HALF, CPU)])
    with pytest.raises(RuntimeError, match=f"there is nothing to tune: the executor '{name}' on cpu has no choice"):
        executor.tune(plan)


def test_the_model_s_choice_stays_where_nothing_is_faster(small, tmp_path):
    plan, tensors = small
    executor = make(CudaExecutor, tensors, TuningCache(tmp_path))
    executor.clock = lambda step: 1.0
    assert all(each.time == each.model_time for each in executor.tune(plan).values())
    modelled = executor.lowering.model_choice
    assert all(executor.choice(plan, level) == modelled(plan, level, Gpu()) for level in plan.levels)

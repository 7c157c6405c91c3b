"""The Triton executor in Triton's interpreter: whole networks against float64, where values lie, tiles, tuning."""

from itertools import combinations

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, optimize, verify
from hrnet_fast.engine.executors.triton import TritonExecutor, unsupported
from hrnet_fast.engine.gpu.gpu import Gpu
from hrnet_fast.engine.gpu.layout import allocate, slots, unplaceable
from hrnet_fast.engine.gpu.triton_lower import TileChoice, TritonLowering
from hrnet_fast.engine.gpu.triton_tile_choices import from_entry, likely, variations
from hrnet_fast.engine.gpu.triton_tiles import LARGEST, Problem, Tile, candidates, choose, stages
from hrnet_fast.engine.gpu.tune import tune_level
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from hrnet_fast.plan.lifetimes import lifetimes
from tests.golden import fill
from tests.kernels.interpreter import use_interpreter
from tests.networks import SMALL, planned, small_net, tiny_net

pytest.importorskip("triton", reason="Triton is not installed")
LARGE = ["hrnet_w32.pose_coco_256x192", "hrnet_w18.cls_in1k", "hrnet_w48.seg_ocr_cityscapes", "hrnet_w18.det_coco"]


@pytest.fixture
def interpreted(monkeypatch):
    use_interpreter(monkeypatch)


def plan_of(name, size=(128, 128), batch=1):
    with torch.device("meta"):
        model = create_model(name)
    return make_plan(inference_view(model.eval()), torch.empty(batch, 3, *size, device="meta"))


@pytest.mark.parametrize(
    ("tag", "dtype"),
    [
        ("pose_coco_256x192", torch.float32),
        ("seg_cityscapes", torch.bfloat16),
        ("pose_v1h_coco_256x192", torch.float16),
        ("pose_higher_coco_512x512", torch.float16),
        ("cls_ci_in1k", torch.float16),
    ],
    ids=str,
)
def test_whole_network(tag, dtype, interpreted):
    model = tiny_net(tag)
    x = torch.randn(1, 3, 32, 32)
    report = verify(model, optimize(model, executor="triton", dtype=dtype, example=x), x)
    assert report.passed and report.executor == "triton", str(report)


def test_one_module_takes_and_gives_lists(interpreted):
    module = small_net().stage3[0]
    maps = [torch.randn(2, 16 << b, 16 >> b, 8 >> b) for b in range(3)]
    fast = optimize(module, executor="triton", dtype=torch.float16, example=(maps,))
    report = verify(module, fast, maps)
    assert report.passed, str(report)


def test_results_are_the_callers_own(interpreted):
    model = fill(nn.Sequential(nn.Conv2d(3, 18, 3, 2, 1), nn.BatchNorm2d(18), nn.ReLU(), nn.Conv2d(18, 5, 1)))
    x = torch.randn(2, 3, 9, 10)
    fast = optimize(model, executor="triton", example=x)
    with torch.inference_mode():
        first = fast(x)
        kept = first.clone()
        fast(-x)
    assert torch.equal(first, kept)
    assert not first.is_inference()
    strided = fast(x.contiguous(memory_format=torch.channels_last))
    assert strided.is_contiguous(memory_format=torch.channels_last) and torch.equal(strided, first)


def test_explain_names_interpreter_and_tiles(interpreted):
    model = small_net()
    plan = explain(model, (1, 3, 64, 64), executor="triton", dtype=torch.float32)
    assert all(level.executor == "triton" for level in plan.levels)
    assert "Triton's interpreter in float32, modelled tiles 64x" in plan.levels[0].reason


def test_refused_on_a_cpu_without_the_interpreter(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    model = create_model(f"{SMALL}.pose_coco_256x192")
    with pytest.raises(RuntimeError, match="executor='triton' cannot be used: the Triton kernels run on a GPU"):
        optimize(model, executor="triton")
    with pytest.raises(RuntimeError, match="executor='cudnn' cannot be used: cuDNN runs on a GPU"):
        optimize(model, executor="cudnn")
    assert "float64" in unsupported(torch.float64, torch.device("cpu"))


@pytest.mark.parametrize("name", LARGE)
def test_no_value_lies_where_another_one_lives(name):
    plan = plan_of(name)
    place, life = slots(plan), lifetimes(plan)
    tenants = {}
    for value, slot in place.items():
        tenants.setdefault(slot, []).append(value)
    for together in tenants.values():
        for a, b in combinations(together, 2):
            assert plan.values[a].shape == plan.values[b].shape
            assert life[a][1] < life[b][0] or life[b][1] < life[a][0]
    for value in plan.inputs:
        assert len(tenants[place[value]]) == 1
    assert len(tenants) < len(place) / 2


def test_maps_of_w32_share_their_memory():
    """Every slot, border and padding: less than six of the largest maps. Eager torch holds three and a half at once, as
    torch's MemTracker counts."""
    plan = plan_of("hrnet_w32.pose_coco_256x192", (256, 192), 8)
    maps = allocate(plan, torch.float16, torch.device("meta")).maps.values()
    largest = max(torch.Size(value.shape).numel() for value in plan.values)
    assert sum({id(m.data): m.data.nbytes for m in maps}.values()) < 6 * 2 * largest


@pytest.mark.parametrize(("name", "launches"), [(LARGE[0], 97), (LARGE[1], 104), ("hrnet_w48.seg_cityscapes", 99)])
def test_one_launch_a_level(name, launches):
    plan = plan_of(name)
    device = torch.device("cpu")
    with torch.device("meta"):
        shapes = named_tensors(create_model(name))
    tensors = {key: torch.zeros(tensor.shape) for key, tensor in shapes.items()}
    lowering = TritonLowering(tensors, torch.float16, device, "ieee", False)
    memory = allocate(plan, torch.float16, device)
    choice = lambda level: lowering.model_choice(plan, level, Gpu())  # noqa: E731
    steps = lowering.steps(plan, memory, choice)
    made = [launch for step in steps for launch in step.launches]
    assert len(made) == launches
    assert len({launch.specialisation for launch in made}) < launches / 2


def test_tf32_weights_are_rounded_to_nearest_where_the_tensor_cores_would_cut():
    plan, device = plan_of(f"{SMALL}.pose_coco_256x192", (32, 32)), torch.device("cpu")
    tensors = named_tensors(small_net())
    ieee, tf32 = (TritonLowering(tensors, torch.float32, device, own, False) for own in ("ieee", "tf32"))
    level = next(level for level in plan.levels if ieee.tiled(plan, level))
    memory = allocate(plan, torch.float32, device)
    choice = ieee.model_choice(plan, level, Gpu())
    (exact,), (rounded,) = (each.step(plan, level, memory, choice, False).launches for each in (ieee, tf32))
    want, given = exact.works[0].weight, rounded.works[0].weight
    assert not torch.equal(want, given) and not (given.view(torch.int32) & 0x1FFF).any()
    assert ((want - given).abs() <= 2.0**-11 * want.abs()).all() and (given.abs() > want.abs()).any()


def test_launches_do_not_overlap_with_what_torch_plays():
    """A graph has no programmatic edge from what may be a copy."""
    plan, device = plan_of(f"{SMALL}.seg_ocr_lip", (32, 64)), torch.device("cpu")
    tensors = named_tensors(small_net("seg_ocr_lip"))
    lowering = TritonLowering(tensors, torch.float16, device, "ieee", True)
    choice = lambda level: lowering.model_choice(plan, level, Gpu())  # noqa: E731
    steps = lowering.steps(plan, allocate(plan, torch.float16, device), choice)
    after = [(bool(before.others), launch) for before, step in zip(steps, steps[1:-1]) for launch in step.launches]
    assert {alone for alone, _ in after} == {False, True}
    assert all(launch.constants["PDL"] == (not alone) for alone, launch in after)


def test_what_torch_plays_leaves_zeros_in_the_channels_that_pad_its_map():
    """Another map's NaN may have lain there, and the next convolution reads it."""
    net = fill(nn.Sequential(nn.Conv2d(3, 12, 3, padding=1, groups=3), nn.Conv2d(12, 8, 1)))
    plan, tensors = planned(net, torch.empty(1, 3, 6, 5))
    lowering = TritonLowering(tensors, torch.float16, torch.device("cpu"), "ieee", False)
    memory = allocate(plan, torch.float16, torch.device("cpu"))
    first, *_ = lowering.steps(plan, memory, lambda level: lowering.model_choice(plan, level, Gpu()))
    ((item, play),) = first.others
    pads = memory.maps[item.out].pads()
    pads.fill_(torch.nan)
    assert pads.numel()
    play()
    assert not memory.maps[item.out].pads().any()


def test_what_is_too_large_for_an_index_is_refused():
    plan = plan_of("hrnet_w18.features", (4096, 4096), 16)
    assert "32-bit index" in unplaceable(plan)
    executor = TritonExecutor({}, torch.float16, torch.device("cpu"))
    with pytest.raises(ValueError, match="32-bit index reaches: use a smaller batch"):
        executor.tape(plan)


def test_tiles_fit_and_cover():
    for pixels, channels, k in [(48, 256, 2304), (3072, 32, 288), (1, 8, 72), (10**6, 48, 432), (3072, 24, 256)]:
        for exact in (False, True):
            own = Problem(pixels, channels, k, 4 if exact else 2, exact)
            options = candidates(own, Gpu())
            assert options
            for tile in options:
                assert own.grid(tile) * tile.rows * tile.columns >= pixels * channels * tile.split
                assert tile.rows * tile.columns <= LARGEST and (tile.split - 1) * tile.step < k
                assert 2 <= stages([tile], own.itemsize, Gpu()) <= 5


def test_deep_small_maps_are_shared_among_programs():
    """The last branch of W32 at batch 1: 48 pixels and K = 2304 would else keep four programs busy alone."""
    branches = tuple(Problem(3072 >> 2 * i, 32 << i, 288 << i) for i in range(4))
    tiles = choose(branches, Gpu())
    assert tiles[3].split > 1 and tiles[0].split == 1
    assert sum(p.grid(t) for p, t in zip(branches, tiles)) <= Gpu().places


def test_tuning_keeps_the_fastest_that_it_timed():
    plan = plan_of(f"{SMALL}.pose_coco_256x192", (64, 64))
    model = small_net()
    device, gpu = torch.device("cpu"), Gpu()
    lowering = TritonLowering(named_tensors(model), torch.float16, device, "ieee", False)
    memory = allocate(plan, torch.float16, device)
    level = max(plan.levels, key=lambda level: len(lowering.tiled(plan, level)))
    problems = lowering.problems(plan, level)
    timed = []

    def clock(choice):  # a GPU that likes many steps in flight, and 32 columns
        step = lowering.step(plan, level, memory, choice, False)
        tiles = [work.tile for work in step.launches[0].works]
        timed.append(tiles)
        return 10.0 * sum(tile.columns != 32 for tile in tiles) + sum(t.split for t in tiles) - step.launches[0].stages

    start = lowering.model_choice(plan, level, gpu)
    tuned = tune_level(start, variations(problems, gpu), clock)
    best = [[t for t in likely(p, gpu) if t.columns == 32] for p in problems]
    assert all(t.columns == 32 for t, options in zip(tuned.choice.tiles, best) if options)
    assert tuned.choice.stages == 5 and tuned.time <= tuned.model_time and len(timed) > len(problems)
    assert from_entry(tuned.as_entry(), problems, gpu) == tuned.choice


def test_a_strange_entry_of_the_cache_is_not_used():
    problems = [Problem(3072, 32, 288)]
    good = {"tiles": [{"rows": 64, "columns": 32, "step": 32, "split": 1}], "stages": 4}
    assert from_entry(good, problems, Gpu()) == TileChoice((Tile(64, 32),), 4)
    spilling = {"tiles": [{"rows": 128, "columns": 128, "step": 32, "split": 4}], "stages": 4}
    for bad in (None, {}, {**good, "tiles": []}, {**good, "stages": 99}, {**good, "tiles": [{"rows": 64}]}, spilling):
        assert from_entry(bad, problems, Gpu()) is None


def test_signatures_tell_levels_apart():
    plan = plan_of(LARGE[0], (256, 192))
    half, tf32, exact = (
        TritonLowering({}, dtype, torch.device("cpu"), precision, False)
        for dtype, precision in ((torch.float16, "ieee"), (torch.float32, "tf32"), (torch.float32, "ieee"))
    )
    assert 10 < len({half.signature(plan, level) for level in plan.levels}) < 60
    assert len({each.signature(plan, plan.levels[0]) for each in (half, tf32, exact)}) == 3

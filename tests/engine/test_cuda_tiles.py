"""The tiles that the model of a GPU chooses for the CUDA level kernel: whole networks, whose maps nobody fills."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from hrnet_fast import create_model
from hrnet_fast.engine.gpu.cuda_lower import CudaLowering
from hrnet_fast.engine.gpu.cuda_problem import CudaProblem
from hrnet_fast.engine.gpu.cuda_tiles import choose, level_time, most_shared, possible, resident_of
from hrnet_fast.engine.gpu.gpu import Gpu, describe_gpu
from hrnet_fast.engine.gpu.layout import allocate
from hrnet_fast.kernels import cuda_level
from hrnet_fast.kernels.cuda_level import CudaConv, CudaTile, Level, LevelItem, LevelTerm, describe
from hrnet_fast.plan import inference_view, make_plan, named_tensors
from tests.kernels import cuda_emulator

KB = 1024
# architecture: (GPU, bytes of shared memory that it gives a CTA at most)
GPUS = {
    80: (Gpu(80, 108, 164 * KB, warpgroups=False), 163 * KB),
    86: (Gpu(86, 84, 100 * KB, warpgroups=False), 99 * KB),
    90: (Gpu(), 227 * KB),
}
NETWORKS = {
    "pose": ("pose_coco_256x192", (256, 192)),
    "cls": ("cls_in1k", (224, 224)),
    "seg": ("seg_cityscapes", (512, 1024)),
}
BRANCHES = tuple(CudaProblem(1, 64 >> i, 48 >> i, 32 << i, 32 << i, 3, 1, early=True) for i in range(4))


def plan_of(name: str, size: tuple[int, int], batch: int):
    with torch.device("meta"):
        model = create_model(name).eval()
    return model, make_plan(inference_view(model), torch.empty(batch, 3, *size, device="meta"))


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("task", NETWORKS)
@pytest.mark.parametrize("width", [18, 32, 48])
def test_every_choice_fits_and_is_accepted_by_the_launcher(width, task, batch, monkeypatch):
    tag, size = NETWORKS[task]
    model, plan = plan_of(f"hrnet_w{width}.{tag}", size, batch)
    monkeypatch.setattr("hrnet_fast.engine.gpu.cuda_lower.fold", lambda item, tensors: unfilled(item, tensors))
    memory = allocate(plan, torch.float16, torch.device("meta"))
    for arch in (86, 90) if batch == 1 else (80, 90):
        gpu, most = GPUS[arch]
        lowering = CudaLowering(named_tensors(model), torch.float16, torch.device("meta"), arch >= 90)
        for problems, level in {lowering.problems(plan, level): level for level in plan.levels}.items():
            choice = lowering.model_choice(plan, level, gpu)
            step = lowering.step(plan, level, memory, choice, arch >= 90)
            resident = resident_of(problems, choice.tiles, gpu)
            for launch in step.launches:
                description = describe(launch.works, lambda tensor: 16)
                assert cuda_emulator.refusal(description, torch.float16) == ""
                shared = cuda_emulator.shared_bytes(description, torch.float16)
                assert shared <= most and resident * (shared + KB) <= gpu.shared_memory
                if any(isinstance(work, CudaConv) for work in launch.works):
                    assert shared == max(p.shared_bytes(t) for p, t in zip(problems, choice.tiles))


def unfilled(item, tensors):
    """A folded weight and no bias, whose values do not exist."""
    return tensors[item.conv.weight][:, slice(*(item.conv.channels or (None,)))], None


@pytest.mark.parametrize("formed", [False, True])
def test_candidates_share_memory_as_the_kernel_divides_it(formed):
    own = CudaProblem(1, 15, 11, 72, 144, 1, 1, early=True, formed=formed)
    for most in (most_shared(GPUS[86][0], 2), most_shared(GPUS[90][0], 1)):
        tiles = own.candidates(most)
        assert tiles and all(own.shared_bytes(tile) <= most for tile in tiles)
        assert all(tile.stages == own.chunks(tile) for tile in tiles) or not formed
        assert all(own.grid(t) * t.height * t.width * t.channels >= 15 * 11 * 72 for t in tiles)


def test_tiles_share_out_a_large_map_as_evenly_as_a_whole_number_of_them_can():
    shapes = {(t.height, t.width) for t in CudaProblem(1, 48, 40, 16, 16, 3, 1).candidates(10**6) if t.warps[0] == 4}
    assert (16, 8) in shapes and (3, 40) in shapes and (8, 16) in shapes


def test_small_maps_share_k_among_warps():
    """The last branch of W32 at batch 1: 48 pixels and K = 2304."""
    tiles = choose(BRANCHES, Gpu())
    assert tiles[3].warps[2] >= 4
    blocks = sum(problem.grid(tile) for problem, tile in zip(BRANCHES, tiles))
    assert 48 <= blocks <= 264


def test_large_batches_take_larger_tiles_than_single_images():
    many = tuple(replace(problem, batch=64) for problem in BRANCHES)

    def area(tiles: tuple[CudaTile, ...]) -> int:
        return sum(tile.height * tile.width * tile.channels for tile in tiles)

    assert area(choose(many, Gpu())) > area(choose(BRANCHES, Gpu()))


def test_no_single_tile_is_better_than_the_level_s_choice_beside_its_others():
    """By the model, and within a tenth: the choice is among bounds on the time of a CTA, not among all combinations."""
    gpu = GPUS[90][0]
    tiles = choose(BRANCHES, gpu)
    best = level_time(BRANCHES, tiles, gpu)
    for index, problem in enumerate(BRANCHES):
        for tile in problem.candidates(most_shared(gpu, 1)):
            assert level_time(BRANCHES, (*tiles[:index], tile, *tiles[index + 1 :]), gpu) >= 0.9 * best


def test_a_source_that_does_not_fit_at_once_is_formed_before():
    own = CudaProblem(1, 64, 64, 24, 4096, 1, 1, formed=True)
    gpu = GPUS[86][0]
    assert own.candidates(most_shared(gpu, 1)) == ()
    (tile,) = choose((own,), gpu)
    assert tile.stages < own.chunks(tile)


def test_a_level_of_sums_alone_needs_no_tile():
    assert choose((), Gpu()) == ()


@pytest.mark.parametrize("has", [True, False])
def test_tiles_are_by_warpgroups_where_the_compiled_code_has_them(has, monkeypatch):
    """A Hopper GPU alone does not do: code of sm_90, or made from PTX, multiplies as on older ones."""
    hopper = SimpleNamespace(major=9, minor=0, multi_processor_count=132, shared_memory_per_multiprocessor=228 * KB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: hopper)
    module = SimpleNamespace(level_code=lambda device: (90, has and device == 3))
    monkeypatch.setattr(cuda_level, "extension", lambda: SimpleNamespace(module=module))
    gpu = describe_gpu(torch.device("cuda", 3))
    tiles = possible(CudaProblem(64, 64, 48, 64, 64, 3, 1), gpu, most_shared(gpu, 1))
    assert gpu.capability == 90 and any(tile.grouped for tile in tiles) == has


@pytest.mark.parametrize("module", [None, SimpleNamespace()], ids=["no extension", "an older one"])
def test_what_cannot_be_asked_has_no_code(module, monkeypatch):
    monkeypatch.setattr(cuda_level, "extension", lambda: SimpleNamespace(module=module))
    assert cuda_level.level_code(torch.device("cuda", 0)) == (0, False)


def test_large_batches_keep_weights_where_pixels_are_many_and_single_images_do_not():
    gpu, many = GPUS[90][0], tuple(replace(problem, batch=64) for problem in BRANCHES)
    tiles = choose(many, gpu)
    assert tiles[0].rounds > 1 and all(tile.rounds == 1 for tile in choose(BRANCHES, gpu))
    once = tuple(replace(tile, rounds=1) for tile in tiles)
    assert level_time(many, tiles, gpu) < level_time(many, once, gpu)
    assert many[0].grid(tiles[0]) == -(-many[0].tiles(tiles[0]) // tiles[0].rounds) >= 32


def test_rounds_share_memory_as_the_kernel_divides_it():
    own = CudaProblem(16, 40, 33, 72, 48, 3, 1, early=True)
    rounds = [tile for tile in own.candidates(10**6) if tile.rounds > 1]
    assert {tile.rounds for tile in rounds} >= {2, 3, 8}
    assert all(tile.chunk == 48 and own.tiles(tile) >= 32 * tile.rounds for tile in rounds)
    for tile in rounds[::17]:
        level = described(own, tile)
        assert cuda_emulator.refusal(level, torch.float16) == ""
        assert cuda_emulator.shared_bytes(level, torch.float16) == own.shared_bytes(tile)


def described(problem: CudaProblem, tile: CudaTile) -> Level:
    """A level of one convolution that points nowhere."""
    level = Level(items=1, terms=1)
    level.term[0] = LevelTerm(16, problem.height, problem.width, 1.0, 1.0, 0)
    level.item[0] = LevelItem(
        source=16, weight=16, out=16, batch=problem.batch, in_height=problem.height, in_width=problem.width,
        in_channels=problem.in_channels, height=problem.height, width=problem.width, channels=problem.channels,
        kernel=problem.kernel, stride=1, padding=problem.kernel // 2, tile_height=tile.height, tile_width=tile.width,
        warps_m=tile.warps[0], warps_n=tile.warps[1], warps_k=tile.warps[2], warp_columns=tile.columns,
        chunk=tile.chunk, stages=tile.stages, rounds=tile.rounds, terms=1, steps=1,
    )  # fmt: skip
    return level

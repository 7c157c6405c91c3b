"""The CUDA executor with chains of convolutions: which it forms, where they are played, and what they give."""

import re
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from hrnet_fast import optimize, verify
from hrnet_fast.engine.executors import levels
from hrnet_fast.engine.executors.cuda import CudaExecutor
from hrnet_fast.engine.executors.cuda_chains import CudaChainExecutor
from hrnet_fast.engine.gpu.chains import Chain, choose_chains, find_chains, schedule, written_in
from hrnet_fast.engine.gpu.cuda_chain_problem import ChainProblem
from hrnet_fast.engine.gpu.cuda_lower import CudaLowering
from hrnet_fast.engine.gpu.cuda_tiles import choose, level_time, most_shared, resident_of
from hrnet_fast.engine.gpu.layout import allocate, slots
from hrnet_fast.kernels.cuda_level import Level, LevelItem, LevelTerm, describe
from hrnet_fast.plan import make_plan, named_tensors
from tests.engine.emulated import CPU, HALF, Recorded, assert_as_exact_as_torch, launch, recorded
from tests.engine.test_cuda_tiles import GPUS, KB, plan_of, unfilled
from tests.golden import fill
from tests.kernels import cuda_emulator
from tests.networks import planned, small_net


def every_chain(plan, found):
    return found


def found_in(plan):
    lowering = CudaLowering({}, HALF, CPU, False)
    return find_chains(plan, lambda item: lowering.unsupported_item(item, plan) is None)


@pytest.fixture(scope="module")
def w32():
    return plan_of("hrnet_w32.pose_coco_256x192", (256, 192), 1)[1]


class Block(nn.Module):
    """Two convolutions with the input as residual; `also`: another reader of what lies between them."""

    def __init__(self, also=False, stride=1):
        super().__init__()
        self.first, self.second, self.also = nn.Conv2d(8, 8, 3, stride, 1), nn.Conv2d(8, 8, 3, padding=1), also

    def forward(self, x):
        y = self.first(x).relu()
        z = self.second(y)
        return (z + x if self.first.stride == (1, 1) else z).relu(), *((y,) if self.also else ())


def test_chains_are_found():
    plan = make_plan(Block().eval(), torch.empty(1, 8, 6, 6))
    (chain,) = found_in(plan)
    assert chain.name == "first > second" and chain.keeps_its_source and chain.shapes == ((1, 8, 6, 6),)
    assert chain.reads == (plan.inputs[0],) * 2 and chain.out == plan.outputs[0]
    made = schedule(plan, [chain])
    assert made.levels[0].items == (chain,) and made.origins == (0,)
    assert set(slots(replace(plan, levels=made.levels))) == {*plan.inputs, *plan.outputs}


@pytest.mark.parametrize("module", [Block(also=True), nn.Conv2d(8, 8, 3)], ids=["read twice", "alone"])
def test_what_is_read_twice_or_alone_forms_no_chain(module):
    assert found_in(make_plan(module.eval(), torch.empty(1, 8, 6, 6))) == []


def test_a_chain_that_changes_the_size_does_not_keep_its_source():
    (chain,) = found_in(make_plan(Block(stride=2).eval(), torch.empty(1, 8, 6, 6)))
    assert not chain.keeps_its_source


def test_chains_have_at_most_three_steps():
    module = nn.Sequential(*(nn.Conv2d(8, 8, 1) for _ in range(8)))
    names = [chain.name for chain in found_in(make_plan(module.eval(), torch.empty(1, 8, 6, 6)))]
    assert names == ["0 > 1 > 2", "3 > 4 > 5", "6 > 7"]


def test_the_chains_of_w32(w32):
    names = [chain.name for chain in found_in(w32)]
    assert names[:2] == ["conv1 > conv2", "layer1.0.conv1 > layer1.0.conv2 > layer1.0.conv3"]
    pairs = [name for name in names if ".branches." in name]
    assert len(pairs) == 4 * (1 * 2 + 4 * 3 + 3 * 4) and all(name.count(">") == 1 for name in pairs)
    kept = {chain.name.split(".")[0] for chain in found_in(w32) if chain.keeps_its_source}
    assert kept == {"layer1", "stage2", "stage3", "stage4"}


def check_schedule(plan, made):
    """Every item once; what it reads was written before; nothing that nobody placed is read; what shares memory does
    not live at the same time."""
    written = dict.fromkeys(plan.inputs, -1)
    for index, level in enumerate(made.levels):
        assert level.items
        for item in level.items:
            assert all(written.get(value, index) < index for value in item.reads), item.name
        for item in level.items:
            assert item.out not in written
            written[item.out] = index
    steps = [each for level in made.levels for item in level.items for each in getattr(item, "items", (item,))]
    assert sorted(item.out for item in steps) == sorted(item.out for item in plan.items())
    assert all(value in written for value in plan.outputs)
    place = slots(replace(plan, levels=made.levels))
    assert set(place) == set(written)
    last = {value: index for index, level in enumerate(made.levels) for item in level.items for value in item.reads}
    last |= dict.fromkeys(plan.outputs, len(made.levels))
    tenants = {}
    for value in sorted(written, key=written.get):
        for other in tenants.setdefault(place[value], []):
            assert last.get(other, written[other]) < written[value]
        tenants[place[value]].append(value)


@pytest.mark.parametrize("seed", range(4))
def test_any_chains_leave_a_plan_that_can_be_played(seed, w32):
    found = found_in(w32)
    some = torch.rand(len(found), generator=torch.Generator().manual_seed(seed)) < (0.5 if seed else 2.0)
    made = schedule(w32, [chain for chain, wanted in zip(found, some) if wanted])
    check_schedule(w32, made)
    assert len(made.levels) < len(w32.levels)
    assert set(made.chains()) == {chain for chain, wanted in zip(found, some) if wanted}


def test_a_chain_waits_for_what_its_last_step_adds(w32):
    """The first block of layer1 adds what a convolution beside its first one gives."""
    found = found_in(w32)
    made, written = schedule(w32, found), written_in(w32)
    (chain,) = (chain for chain in found if chain.name.startswith("layer1.0."))
    assert made.chains()[chain] == written[chain.items[0].out] + 1 == written[chain.terms[0].value] + 1


def test_cost_decides_which_chains_are_played(w32):
    found = found_in(w32)

    def cost(level):
        return 1.0

    def hates_chains(level):
        return sum(100.0 if isinstance(item, Chain) else 1.0 for item in level.items)

    chosen = choose_chains(w32, found, cost)
    assert choose_chains(w32, found, hates_chains) == []
    stage2 = [chain for chain in found if chain.name.startswith("stage2.0.branches")]
    assert stage2 and set(stage2) <= set(chosen)  # all branches have pairs, so levels go
    assert len(schedule(w32, chosen).levels) == len(schedule(w32, found).levels)


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize(
    ("name", "size"),
    [("hrnet_w32.pose_coco_256x192", (256, 192)), ("hrnet_w18.cls_in1k", (224, 224))],
    ids=["W32-pose", "W18-cls"],
)
def test_chosen_tiles_fit_and_are_accepted_by_the_launcher(name, size, batch, monkeypatch):
    """Of every distinct chain beside what else its level has, be it worth its while or not."""
    model, plan = plan_of(name, size, batch)
    monkeypatch.setattr("hrnet_fast.engine.gpu.cuda_lower.fold", lambda item, tensors: unfilled(item, tensors))
    gpu, most = GPUS[86 if batch == 1 else 90]
    lowering = CudaLowering(named_tensors(model), HALF, torch.device("meta"), False)
    fits = [c for c in found_in(plan) if lowering.problem(c, plan).candidates(most_shared(gpu, 1))]
    played = replace(plan, levels=schedule(plan, fits).levels)
    memory = allocate(played, HALF, torch.device("meta"))
    for problems, level in {lowering.problems(played, level): level for level in played.levels}.items():
        if not any(isinstance(problem, ChainProblem) for problem in problems):
            continue
        choice = lowering.model_choice(played, level, gpu)
        resident, needed = resident_of(problems, choice.tiles, gpu), 0
        for made in lowering.step(played, level, memory, choice, False).launches:
            description = describe(made.works, lambda tensor: 16)
            assert cuda_emulator.refusal(description, HALF) == ""
            shared = cuda_emulator.shared_bytes(description, HALF)
            assert shared <= most and resident * (shared + KB) <= gpu.shared_memory
            needed = max(needed, shared)
        assert needed == max(p.shared_bytes(t) for p, t in zip(problems, choice.tiles))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("steps", [2, 3])
def test_candidates_share_memory_as_the_kernel_divides_it(steps, kept):
    """Every one of them, float32 too."""
    channels, kernels = (40, 16, 40, 40), (1, 3, 1) if steps == 3 else (3, 3)
    widths = channels if steps == 3 else (40, 24, 40)
    for dtype in (HALF, torch.float32):
        module = nn.Sequential(*(nn.Conv2d(widths[i], widths[i + 1], k, padding=k // 2) for i, k in enumerate(kernels)))
        plan = make_plan(module.eval(), torch.empty(1, 40, 15, 11))
        (chain,) = found_in(plan)
        own = replace(CudaLowering({}, dtype, CPU, False).problem(chain, plan), kept=kept)
        for tile in own.candidates(10**6)[::29]:
            level = described(own, tile)
            assert cuda_emulator.refusal(level, dtype) == ""
            assert cuda_emulator.shared_bytes(level, dtype) == own.shared_bytes(tile)


def described(problem, tile):
    """A level of one chain that points nowhere."""
    level = Level(items=len(problem.steps), terms=1)
    level.term[0] = LevelTerm(16, problem.steps[-1].height, problem.steps[-1].width, 1.0, 1.0, 0)
    for index, (step, own) in enumerate(zip(problem.steps, tile.steps)):
        level.item[index] = LevelItem(
            weight=16, batch=1, in_height=step.height, in_width=step.width, in_channels=step.in_channels,
            height=step.height, width=step.width, channels=step.channels, kernel=step.kernel, stride=1,
            padding=step.kernel // 2, tile_height=own.height, tile_width=own.width, warps_m=own.warps[0],
            warps_n=own.warps[1], warps_k=own.warps[2], warp_columns=own.columns, chunk=own.chunk, stages=own.stages,
            rounds=1,
        )  # fmt: skip
    first, last = level.item[0], level.item[len(problem.steps) - 1]
    first.source, first.steps, last.out, last.terms, last.kept = 16, len(problem.steps), 16, 1, problem.kept
    return level


def test_explain_tells_chains_and_the_levels_that_they_leave_empty(w32):
    executor = CudaChainExecutor({}, HALF, CPU, gpu=GPUS[90][0])
    reasons = [executor.explain(w32, level)[1] for level in w32.levels]
    made = executor.schedule(w32)
    assert [index for index, reason in enumerate(reasons) if not reason.startswith("no launch")] == list(made.origins)
    assert reasons[6] == reasons[7] == "no launch: steps of chains that level 5 launches"
    assert re.search(
        r"tiles \d+x\d+x64 w[\d.]+g? k\d+\*\d>[^ ]+ [^ ]+ [^ ]+>\d+x\d+x\d+ w[\d.]+g? k\d+\*\d; \d+ CTAs", reasons[5]
    )
    assert {executor.explain(w32, level)[0] for level in w32.levels} == {"cuda-chains"}


@pytest.mark.parametrize("batch", [1, 64])
def test_the_model_s_choice_ends_sooner_by_the_model(batch):
    plan = plan_of("hrnet_w32.pose_coco_256x192", (256, 192), batch)[1]
    gpu = GPUS[90][0]
    executor = CudaChainExecutor({}, HALF, CPU, gpu=gpu)

    def total(levels):
        problems = [executor.lowering.problems(plan, level) for level in levels]
        return sum(level_time(each, choose(each, gpu), gpu) for each in problems if each)

    made = executor.schedule(plan)
    sooner = total(made.levels) < total(plan.levels)
    assert sooner == (batch == 1) == (len(made.levels) < len(plan.levels))  # of 64, weights that stay are worth more


@pytest.mark.parametrize("executor", [CudaExecutor, CudaChainExecutor])
def test_a_profile_overlaps_no_launches(executor, monkeypatch):
    """Each level follows itself there, and where that ends in a copy, a graph has no edge for an early launch."""
    plan, tensors = planned(small_net("seg_ocr_lip"), torch.empty(1, 3, 32, 64))
    kept, mixed = Recorded(), []

    def clock(step):
        mixed.append(bool(step.launches and step.others))
        for each in step.launches:
            each()
        return 1.0

    monkeypatch.setattr(levels, "within_a_graph", clock)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    player = executor(tensors, HALF, CPU, op=kept)
    player.lowering.overlap = True
    assert len(player.profile(plan)) == len(mixed) and any(mixed)
    assert kept.overlaps and not any(kept.overlaps)


@pytest.mark.parametrize(
    ("tag", "dtype", "size"),
    [("pose_coco_256x192", HALF, (64, 32)), ("cls_in1k", torch.bfloat16, (32, 32))],
    ids=["pose-float16", "cls-bfloat16"],
)
def test_whole_network_of_overlapping_launches(tag, dtype, size):
    """With every chain that there is. Every launch but the first and the last may begin before the one before it ends;
    torch's items of the classifier come after all."""
    model, x = small_net(tag), torch.randn(1, 3, *size)
    plan, tensors = planned(model, x)
    kept = Recorded()
    executor = CudaChainExecutor(tensors, dtype, CPU, op=kept, choice_of_chains=every_chain)
    tape = recorded(executor, plan, x)
    for step in tape.steps:
        for work in step.launches:
            work()
    kept.play(dtype)
    for step in tape.steps:
        for _, by_torch in step.others:
            by_torch()
    assert len(tape.steps) < len(plan.levels) and len(executor.schedule(plan).chains()) > 15
    assert_as_exact_as_torch(plan, tensors, [x], tape.results(), dtype)


def test_what_lies_inside_a_chain_is_not_watched():
    """`verify` reports all else."""
    module, x = fill(nn.Sequential(Block(), nn.Identity())), torch.randn(1, 8, 6, 6)
    fast = optimize(Only(module), dtype=HALF, executor="reference", example=x)
    tensors = named_tensors(fast.original)
    fast._prepared.executor = CudaChainExecutor(tensors, HALF, CPU, op=launch, choice_of_chains=every_chain)
    report = verify(fast.original, fast, x, levels=True)
    assert [level.name.split(".")[-1] for level in report.levels] == ["second"] and report.passed


class Only(nn.Module):
    """The first result of a module."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)[0]

"""The CUDA executor on a CPU: the emulator plays its launches, whole networks and large levels against float64."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hrnet_fast import create_model, optimize
from hrnet_fast.engine import choose
from hrnet_fast.engine.executors.cuda import CudaExecutor, unsupported
from hrnet_fast.engine.executors.fastest_gpu import FastestGpuExecutor
from hrnet_fast.engine.executors.torch_graph import TorchExecutor
from hrnet_fast.engine.gpu.gpu import Gpu
from hrnet_fast.engine.gpu.layout import allocate
from hrnet_fast.engine.interpret import Interpreter
from hrnet_fast.engine.tuning.cache import TuningCache
from hrnet_fast.kernels.bordered import BorderedMap
from hrnet_fast.kernels.cuda_level import MOST_ITEMS, MOST_TERMS, CudaLaunch, describe, in_launches
from hrnet_fast.kernels.level import MapTerm, SumWork, Tile
from hrnet_fast.numerics import relative_l2
from hrnet_fast.plan import Conv, inference_view, make_plan
from tests.engine.emulated import CPU, HALF, KEY, Recorded, assert_as_exact_as_torch, launch, recorded
from tests.golden import fill
from tests.kernels.bordered_maps import outside
from tests.kernels.cuda_cases import tf32
from tests.networks import planned, small_net, tiny_net


@pytest.mark.parametrize(
    ("make", "tag", "dtype", "size"),
    [(tiny_net, "seg_cityscapes", torch.bfloat16, (32, 40)), (small_net, "cls_in1k", HALF, (32, 32))],
    ids=["seg-bfloat16", "cls-float16"],
)
def test_whole_network(make, tag, dtype, size):
    """Launch by launch, with torch's items in between."""
    model, x = make(tag), [torch.randn(1, 3, *size)]
    plan, tensors = planned(model, *x)
    with torch.inference_mode():
        results = CudaExecutor(tensors, dtype, CPU, op=launch).prepare(plan)(x)
    assert_as_exact_as_torch(plan, tensors, x, results, dtype)


def test_whole_network_of_overlapping_launches():
    """On a GPU of compute capability 9.0 every launch but the first and the last may begin before the one before it
    ends; the emulator lets it, and looks for races."""
    model, x = small_net(), torch.randn(1, 3, 64, 32)
    plan, tensors = planned(model, x)
    kept = Recorded()
    executor = CudaExecutor(tensors, HALF, CPU, op=kept)
    tape = recorded(executor, plan, x)
    tape.play()
    assert len(kept.levels) == len(plan.levels)
    assert kept.overlaps == [0 < index < len(plan.levels) - 1 for index in range(len(plan.levels))]
    kept.play(HALF)
    assert_as_exact_as_torch(plan, tensors, [x], tape.results(), HALF)
    assert len(executor.lowering._packed) == sum(isinstance(item, Conv) for item in plan.items())


@pytest.fixture(scope="module")
def w32():
    model = fill(create_model("hrnet_w32.pose_coco_256x192"))
    return planned(model, torch.zeros(1, 3, 256, 192))


@pytest.mark.parametrize("dtype", [HALF, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", ["four branches", "an exchange"])
def test_levels_of_w32_as_large_as_they_are(kind, dtype, w32):
    plan, tensors = w32
    four = [level for level in plan.levels if len(level.items) == 4 and all(item.terms for item in level.items)]
    level = four[0] if kind == "four branches" else max(plan.levels, key=lambda level: len(level.items))
    executor = CudaExecutor(tensors, dtype, CPU, op=launch)
    memory = allocate(plan, dtype, CPU)
    for item in level.items:
        memory.views[item.out].fill_(torch.nan)
        for value in item.reads:
            memory.views[value].normal_()
    step = executor.lowering.step(plan, level, memory, executor.choice(plan, level), False)
    assert step.others == []
    step()
    values = {value: memory.views[value] for item in level.items for value in item.reads}
    for item in level.items:
        want, plain = (
            Interpreter(tensors, kind, CPU).play(item, {value: view.to(kind) for value, view in values.items()})
            for kind in (torch.float64, dtype)
        )
        assert relative_l2(memory.views[item.out], want) <= 2 * relative_l2(plain, want), item.name
        assert outside(memory.maps[item.out]) == 0


def test_float32_by_tf32(monkeypatch):
    """Against torch whose convolutions round to TF32, as they do on a GPU."""
    module = fill(nn.Sequential(nn.Conv2d(3, 18, 3, 2, 1), nn.BatchNorm2d(18), nn.ReLU(), nn.Conv2d(18, 5, 1)))
    x, exactly = torch.randn(2, 3, 21, 18), F.conv2d

    def rounded(x, weight, *rest):
        both = (x, weight) if x.dtype == torch.float64 else (tf32(x.contiguous()), tf32(weight.contiguous()))
        return exactly(*both, *rest)

    plan, tensors = planned(module, x)
    with torch.inference_mode():
        results = CudaExecutor(tensors, torch.float32, CPU, op=launch).prepare(plan)([x])
    monkeypatch.setattr(F, "conv2d", rounded)
    assert_as_exact_as_torch(plan, tensors, [x], results, torch.float32)


class Odd(nn.Module):
    """Convolutions that the kernel knows, and some that it does not: 5x5, and one whose padding is not square."""

    def __init__(self):
        super().__init__()
        self.known, self.large = nn.Conv2d(3, 10, 3, padding=1), nn.Conv2d(10, 10, 5, padding=2)
        self.wide, self.last = nn.Conv2d(10, 12, 3, padding=(1, 0)), nn.Conv2d(10, 12, 3, padding=1)

    def forward(self, x):
        x = self.known(x).relu()
        return self.wide(x), self.last(self.large(x))


def test_what_the_kernel_does_not_know_is_played_by_torch():
    module, x = fill(Odd()), torch.randn(1, 3, 9, 11)
    plan, tensors = planned(module, x)
    executor = CudaExecutor(tensors, HALF, CPU, op=launch)
    refused = {item.name for item in plan.items() if executor.lowering.unsupported_item(item, plan)}
    assert {"large", "wide"} == {name.split()[0].split(".")[-1] for name in refused}, refused
    with torch.inference_mode():
        results = executor.prepare(plan)([x])
    assert_as_exact_as_torch(plan, tensors, [x], results, HALF)
    told = [executor.explain(plan, level)[1] for level in plan.levels]
    assert any("is not a square 1x1 or 3x3 convolution of stride 1 or 2" in reason for reason in told)


def test_a_call_with_infinity_leaves_nothing_to_the_next_one():
    """Zero weights times infinity are NaN in padded channels, where torch writes nothing of what it plays."""
    torchs, ours = nn.Conv2d(3, 10, 5, padding=2), (nn.Conv2d(10, 10, 3, padding=1) for _ in range(2))
    module, x = fill(nn.Sequential(torchs, *ours)), torch.randn(1, 3, 5, 6)
    plan, tensors = planned(module, x)
    with torch.inference_mode():
        run = CudaExecutor(tensors, HALF, CPU, op=launch).prepare(plan)
        run([torch.full_like(x, torch.inf)])
        assert_as_exact_as_torch(plan, tensors, [x], run([x]), HALF)


def test_explain_tells_tiles_ctas_and_waves():
    with torch.device("meta"):
        model = create_model("hrnet_w32.pose_coco_256x192").eval()
    plan = make_plan(inference_view(model), torch.empty(1, 3, 256, 192, device="meta"))
    executor = CudaExecutor({}, HALF, CPU, gpu=Gpu())
    reasons = [executor.explain(plan, level) for level in plan.levels]
    assert {name for name, _ in reasons} == {"cuda"}
    pattern = (
        r"one launch in the emulator in float16, "
        r"(sums alone|modelled tiles (\d+x\d+x\d+ w[\d.]+g? k\d+\*\d( r\d+)? ?)+; "
        r"(?P<blocks>\d+) CTAs in (?P<waves>[\d.]+) waves of (?P<resident>[12]) x \d+ KB): as asked"
    )
    for _, reason in reasons:
        found = re.fullmatch(pattern, reason)
        assert found, reason
        if found["blocks"]:
            places = 132 * int(found["resident"])
            assert float(found["waves"]) == pytest.approx(int(found["blocks"]) / places, abs=0.005)


def test_refusals(monkeypatch):
    gpu = torch.device("cuda")
    module = nn.Conv2d(3, 8, 3)
    with pytest.raises(
        RuntimeError, match="executor='cuda' cannot be used: the CUDA level kernel runs on a GPU, and thi"
    ):
        optimize(module, executor="cuda")
    assert unsupported(torch.float64, gpu) == "the CUDA level kernel has no float64"
    monkeypatch.setattr("hrnet_fast.engine.executors.cuda.is_compiled", lambda op, device: False)
    monkeypatch.setattr("hrnet_fast.engine.executors.cuda.why_not_compiled", lambda device: "built without CUDA")
    assert unsupported(HALF, gpu) == "built without CUDA"
    monkeypatch.setattr("hrnet_fast.engine.executors.cuda.is_compiled", lambda op, device: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert unsupported(HALF, gpu) == "the CUDA level kernel needs compute capability 8.0, and this GPU has 7.5"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    for code in ((0, False), (75, False)):  # none, or for a GPU that is older
        monkeypatch.setattr("hrnet_fast.engine.executors.cuda.level_code", lambda device, code=code: code)
        assert unsupported(HALF, gpu).endswith("compute capability 8.0: set TORCH_CUDA_ARCH_LIST=8.0")
    monkeypatch.setattr("hrnet_fast.engine.executors.cuda.level_code", lambda device: (80, False))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert [unsupported(dtype, gpu) for dtype in (HALF, torch.bfloat16, torch.float32)] == [None] * 3
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert unsupported(HALF, gpu) is None
    forbidden = "multiplies float32 in TF32, which torch.backends.cudnn.allow_tf32 = False or an fp32_precision forbids"
    assert forbidden in unsupported(torch.float32, gpu)


def test_auto_lets_it_take_part(monkeypatch):
    made = {}
    for name in choose.ON_A_GPU:
        module = type("Module", (), {"unsupported": staticmethod(lambda dtype, device: None)})
        monkeypatch.setitem(choose.ON_A_GPU, name, (module, lambda *arguments, name=name: made.setdefault(name, name)))
    monkeypatch.setattr(choose, "FastestGpuExecutor", lambda tensors, dtype, device, candidates: candidates)
    candidates = choose.make_executor("auto", {}, HALF, torch.device("cuda"))
    assert candidates[:-1] == ["triton", "cuda", "cuda-chains", "cudnn"] and isinstance(candidates[-1], TorchExecutor)


def test_exact_leaves_out_whoever_may_choose_winograd(monkeypatch):
    reasons = dict.fromkeys(choose.ON_A_GPU)
    for name in choose.ON_A_GPU:
        module = type("Module", (), {"unsupported": staticmethod(lambda dtype, device, name=name: reasons[name])})
        monkeypatch.setitem(choose.ON_A_GPU, name, (module, lambda *arguments, name=name: name))
    monkeypatch.setattr(choose, "FastestGpuExecutor", lambda tensors, dtype, device, candidates: candidates)
    gpu = torch.device("cuda")
    assert choose.make_executor("auto", {}, HALF, gpu, exact=True) == ["triton", "cuda", "cuda-chains"]
    with pytest.raises(RuntimeError, match="executor='cudnn' cannot be used: cuDNN may choose Winograd's"):
        choose.make_executor("cudnn", {}, HALF, gpu, exact=True)
    reasons |= dict.fromkeys(("triton", "cuda", "cuda-chains"), "not here")
    with pytest.raises(
        RuntimeError, match=r"exact=True cannot be kept on this GPU.*triton: not here.*cudnn: cuDNN may"
    ):
        choose.make_executor("auto", {}, HALF, gpu, exact=True)


def test_auto_checks_it_and_remembers_among_whom_it_won(tmp_path):
    module, x = fill(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))), torch.randn(1, 3, 12, 9)
    plan, tensors = planned(module, x)

    def wrong(inputs, outputs, description, overlap):
        launch(inputs, outputs, description, overlap)
        outputs[0].mul_(1.01)

    def contest(op, times, *others):
        times = iter(times)
        candidates = [CudaExecutor(tensors, HALF, CPU, op=op), TorchExecutor(tensors, HALF, CPU), *others]
        measured = FastestGpuExecutor(
            tensors, HALF, CPU, candidates, lambda work: next(times), TuningCache(tmp_path), KEY
        )  # fmt: skip
        return measured.verdict(plan)

    first = contest(launch, [1.0, 2.0])
    assert first.winner == "cuda" and first.times == {"cuda": 1.0, "torch": 2.0}
    assert contest(launch, []).winner == "cuda"  # from the cache, checked again but not timed
    refused = contest(wrong, [2.0])
    assert refused.winner == "torch" and "torch's own" in refused.refused["cuda"]
    newcomer = TorchExecutor(tensors, HALF, CPU)
    newcomer.name = "newcomer"
    assert contest(launch, [3.0, 2.0, 1.0], newcomer).winner == "newcomer"


def sums(count, terms):
    maps = BorderedMap.zeros((1, 8, 2, 2), HALF)
    return [
        SumWork(BorderedMap.zeros((1, 8, 2, 2), HALF), (MapTerm(maps),) * terms, Tile(64, 32)) for _ in range(count)
    ]


@pytest.mark.parametrize(("count", "terms", "sizes"), [(5, 1, [5]), (30, 1, [12, 12, 6]), (9, 10, [3, 3, 3])])
def test_launches_take_so_many_items_and_terms(count, terms, sizes):
    works = sums(count, terms)
    launches = in_launches(works)
    assert [len(launch) for launch in launches] == sizes
    assert [work for launch in launches for work in launch] == works
    for each in launches:
        made = describe(each)
        assert made.items <= MOST_ITEMS and made.terms <= MOST_TERMS


def test_too_much_for_one_launch_is_refused():
    with pytest.raises(ValueError, match="level: 13 items of 13 terms; a launch takes 12 items and 30 terms"):
        CudaLaunch(sums(13, 1))
    with pytest.raises(ValueError, match="a launch needs at least one item"):
        CudaLaunch([])

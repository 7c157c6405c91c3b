"""Kernels by measurement on a CPU: what is tried, kept, found again, and what happens to a cache that is not sound."""

import gc
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from hrnet_fast import create_model, explain, optimize, verify
from hrnet_fast.engine.cpu import tune as tune_module
from hrnet_fast.engine.cpu.choices import candidates
from hrnet_fast.engine.cpu.conv_kernels import DIRECT, Kernel, Shape
from hrnet_fast.engine.cpu.cpu_key import CpuKey, cpu_key
from hrnet_fast.engine.cpu.pack import Packed
from hrnet_fast.engine.cpu.tune import Pool, TunedKernel, Walk, tune_shape, weight_elements
from hrnet_fast.engine.executors import native
from hrnet_fast.engine.tuning.cache import cache_of, parse
from hrnet_fast.numerics import relative_l2, within_tolerance
from hrnet_fast.plan import Conv
from tests.golden import fill

NO_NATIVE = native.unsupported()
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=str(NO_NATIVE))
SHAPE = Shape(18, (1, 18, 16, 12), (2, 4))
SMALL = "hrnet_w18_small.pose_coco_256x192"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache of this test's own."""
    monkeypatch.setenv("HRNET_FAST_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def x():
    return torch.randn(1, 3, 64, 64)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def pose():
    return optimize(fill(create_model(SMALL)), executor="native", example=torch.zeros(1, 3, 64, 64))


def forced(monkeypatch, kernel, network=(2.0, 1.0)):
    """Every shape's measurement finds `kernel`; network: what the whole then takes with the defaults, and with it."""
    monkeypatch.setattr(tune_module, "tune_shape", lambda shape, default, *_: TunedKernel(kernel, 1.0, default, 2.0))
    times = iter(network)
    monkeypatch.setattr(tune_module, "_clock", lambda compiled: partial(float, next(times)))


def reasons(fast, x):
    return " ".join(level.reason for level in explain(fast, x).levels)


@needs_native
@pytest.mark.parametrize(
    "kernel", candidates(SHAPE, DIRECT, 16), ids=lambda kernel: f"{kernel} {kernel.group}".replace(" ", "-")
)
def test_a_walk_meets_all_weights_before_it_meets_one_again(kernel, monkeypatch):
    monkeypatch.setattr(tune_module, "PLAYS", 1)
    executor = native.NativeExecutor({})
    pool = Pool(20 * weight_elements(SHAPE, kernel, executor.lanes) + 7)
    walk = Walk(SHAPE, kernel, executor.lanes, executor.isa, pool)
    walk.at_once, begins, play = 3, [], walk.compiled.play
    walk.compiled.play = lambda buffers, begin, end: begins.append(begin) or play(buffers, begin, end)
    pool.position, walk.buffers.tensors[0][:] = 0, torch.nan
    assert all(walk() > 0 for _ in range(7))
    assert walk.copies == 20 and begins == [0, 3, 6, 9, 12, 15, 0]
    assert walk.buffers.views[1].isfinite().all()  # it has convolved


@needs_native
def test_walks_of_one_pool_follow_each_other(monkeypatch):
    monkeypatch.setattr(tune_module, "PLAYS", 1)
    executor, pool = native.NativeExecutor({}), Pool(1 << 20)
    first, second = (Walk(SHAPE, kernel, executor.lanes, executor.isa, pool) for kernel in (DIRECT, Kernel(4, 12)))
    first.at_once, second.at_once, pool.position = 5, 2, 0
    first()
    begins, play = [], second.compiled.play
    second.compiled.play = lambda buffers, begin, end: begins.append(begin) or play(buffers, begin, end)
    second()
    assert begins[0] * second.size >= 5 * first.size
    assert pool.position == (begins[0] + 2) * second.size


@needs_native
def test_a_walk_convolves():
    shape, executor = Shape(5, (2, 7, 9, 11), (2, 4)), native.NativeExecutor({})
    size = weight_elements(shape, DIRECT, executor.lanes)
    walk = Walk(shape, DIRECT, executor.lanes, executor.isa, Pool(size))
    vectors = -(-7 // executor.lanes)
    weight = walk.pool.weights.view(3, 3, 5, vectors * executor.lanes)[..., :7].permute(3, 2, 0, 1)
    x = walk.buffers.views[0].copy_(torch.randn(2, 5, 9, 11))
    border = torch.ones(2, 11, 13, 5, dtype=torch.bool)
    border[:, 1:-1, 1:-1] = False
    walk.buffers.tensors[1][: border.numel()].view(border.shape)[border] = 0.0
    walk()
    exact, plain = (
        nn.functional.conv2d(x.to(t), weight.to(t), padding=1).relu() for t in (torch.float64, torch.float32)
    )
    assert within_tolerance(relative_l2(walk.buffers.views[1], exact), relative_l2(plain, exact))


@needs_native
@pytest.mark.parametrize(("best", "wins"), [(Kernel(2, 24), True), (DIRECT, True), (Kernel(4, 12), False)])
def test_the_best_kernel_replaces_the_default_if_it_clearly_wins(monkeypatch, best, wins):
    default = Kernel(4, 24)
    rounds = dict.fromkeys((best, default), 0)

    def time(walk):
        kernel = walk.kernel
        if kernel not in rounds:
            return 9.0
        rounds[kernel] += 1
        heats = rounds[kernel] <= tune_module.HEATS
        return 3.0 if kernel == default else 2.0 if wins or heats else 3.0

    class Fake:
        def __init__(self, shape, kernel, *_):
            self.kernel = kernel

        __call__ = time

    monkeypatch.setattr(tune_module, "Walk", Fake)
    tuned = tune_shape(Shape(18, (1, 18, 64, 48), (2, 4)), default, 16, "avx512")
    assert tuned == (TunedKernel(best, 2.0, default, 3.0) if wins else TunedKernel(default, 3.0, default, 3.0))


@needs_native
def test_tuning_measures_once_and_is_found_by_the_next_process(folder, x, monkeypatch):
    monkeypatch.setattr(tune_module, "POOL", 1 << 18)
    monkeypatch.setattr(tune_module, "SHORTEST", 1e-4)
    monkeypatch.setattr(tune_module, "LONGER", 1e-3)
    fast, steps = pose(), []
    fast(x)
    found = fast.tune(x, progress=lambda each: steps.extend(each) or steps)
    assert steps[-1] == "the whole network" and len(steps) == len(found) + 1 > 4
    assert all(each.time > 0 and each.before_time > 0 for each in found.values())
    assert verify(fast.original, fast, x).passed
    paths = list(folder.glob("*.json"))
    assert len(paths) == found.kept
    if found.kept:
        assert pose().tune(x, progress=None) == {}
        assert set(parse(paths[0].read_bytes(), CpuKey)[1]["kernels"]) == set(found)


@needs_native
@pytest.mark.parametrize("kernel", [DIRECT, Kernel(2, 12)], ids=str)
def test_what_was_found_plays_here_and_in_the_next_process(folder, x, monkeypatch, kernel):
    forced(monkeypatch, kernel)
    fast = pose()
    plain = verify(fast.original, fast, x)
    assert "tuned" not in reasons(fast, x)
    found = fast.tune(x)
    assert found.kept and found.network.ratio == 2.0
    assert f"tuned {kernel}" in reasons(fast, x)
    report = verify(fast.original, fast, x)
    assert report.passed, str(report)
    assert str(report) != str(plain)  # another kernel rounds differently
    cache_of.cache_clear()  # as the next process begins
    again = pose()
    assert f"tuned {kernel}" in reasons(again, x) and torch.equal(again(x), fast(x))


@needs_native
def test_the_network_is_timed_with_the_kernels_of_before_and_with_those_found(folder, x, monkeypatch):
    found = Kernel(2, 12)
    forced(monkeypatch, found)
    fast, kernels = pose(), []

    def compiled(plan, kernel_of):
        kernels.append([kernel_of(item) for item in plan.items() if isinstance(item, Conv)])

    monkeypatch.setattr(fast.executor, "_compile", compiled)
    fast.executor.tune(fast.plan_for(x))
    before, now = kernels
    assert found not in before and found in now
    assert all(kernel == found for kernel, default in zip(now, before) if default.m)


@needs_native
def test_what_does_not_help_the_network_is_not_kept(folder, x, monkeypatch):
    forced(monkeypatch, DIRECT, network=(1.0, 1.0))
    fast = pose()
    found = fast.tune(x)
    assert found and not found.kept and found.network.ratio == 1.0
    assert "tuned" not in reasons(fast, x) and not list(folder.iterdir())


@needs_native
def test_what_is_known_is_measured_again_if_asked_and_stays_if_it_is_not_beaten(folder, x, monkeypatch):
    forced(monkeypatch, DIRECT)
    fast = pose()
    fast.tune(x)
    assert fast.tune(x) == {}
    forced(monkeypatch, Kernel(2, 12), network=(1.0, 1.0))
    found = fast.tune(x, again=True)
    assert found and not found.kept and {each.before for each in found.values()} == {DIRECT}
    assert "tuned direct" in reasons(fast, x) and "tuned Winograd" not in reasons(fast, x)
    forced(monkeypatch, Kernel(2, 12))
    assert fast.tune(x, again=True).kept and "tuned Winograd F(2x2)" in reasons(fast, x)


@needs_native
def test_other_threads_have_entries_of_their_own(folder, x, monkeypatch):
    forced(monkeypatch, DIRECT)
    monkeypatch.setattr("hrnet_fast.engine.cpu.cpu_key.available_cores", lambda: 4)
    pose().tune(x)
    assert "tuned" in reasons(pose(), x)
    torch.set_num_threads(2)
    assert "tuned" not in reasons(pose(), x)


@needs_native
def test_a_choice_stays_while_its_executor_lives(folder, x, monkeypatch):
    fast = pose()
    fast(x)
    forced(monkeypatch, DIRECT)
    pose().tune(x)
    assert "tuned" not in reasons(fast, x)  # what it was prepared with still plays
    fast.refresh()
    assert "tuned" in reasons(fast, x)


def live_weights():
    gc.collect()
    return sum(each.weights.nbytes for each in gc.get_objects() if type(each) is Packed)


@needs_native
def test_weights_of_another_kernel_do_not_stay(folder, x, monkeypatch):
    before = live_weights()
    fast = pose()
    by_default = live_weights() - before
    forced(monkeypatch, DIRECT)
    fast.tune(x)
    fast(x)
    tuned = live_weights() - before
    fresh = pose()
    assert fresh is not fast and live_weights() - before == 2 * tuned  # as one that never was anything else
    assert 0 < tuned < by_default  # Winograd's weights take more


@needs_native
def test_weights_are_shared_among_shapes_and_go_with_their_plans(x):
    before = live_weights()
    fast = optimize(fill(create_model(SMALL)), executor="native", exact=True, example=x)
    one = live_weights() - before
    fast(torch.randn(2, 3, 64, 96))
    assert live_weights() - before == one > 0
    fast._prepared.programs.clear()
    assert live_weights() == before


def broken(folder, content):
    pose()  # the folder is looked up when the cache is first met
    path = Path(folder) / cpu_key(native.NativeExecutor({}).isa, torch.get_num_threads()).file_name
    path.write_bytes(content)
    cache_of.cache_clear()
    return path


@needs_native
@pytest.mark.parametrize(
    "content",
    [b"", b'{"format": 1, "dev', b"\xff\xfe", b'{"format": 1, "device": {"gpu": "H200"}}'],
    ids=["empty", "torn", "binary", "gpu"],
)
def test_a_corrupt_cache_is_ignored_with_a_warning(folder, x, monkeypatch, content):
    path = broken(folder, content)
    with pytest.warns(UserWarning, match=r"\.json is ignored, as it is no file of measured results") as warned:
        fast = pose()
        fast(x)
    assert len(warned) == 1 and str(path) in str(warned[0].message)
    assert verify(fast.original, fast, x).passed and "tuned" not in reasons(fast, x)
    forced(monkeypatch, DIRECT)
    fast.tune(x)
    assert parse(path.read_bytes(), CpuKey)[1]["kernels"]


@needs_native
def test_a_folder_that_cannot_be_read_stops_nothing(folder, x, monkeypatch):
    path = broken(folder, b"")
    path.unlink()
    path.mkdir()  # as unreadable as a file gets, for root too
    with pytest.warns(UserWarning, match="measured results cannot be read from"):
        fast = pose()
        fast(x)
    assert verify(fast.original, fast, x).passed


@pytest.mark.parametrize(
    ("module", "options", "sentence"),
    [
        (nn.Conv2d(3, 8, 3), {"executor": "onednn"}, "the executor 'onednn' on cpu has no choice of kernels"),
        (nn.Conv2d(3, 8, 3), {"executor": "reference"}, "the executor 'reference' on cpu has no choice of kernels"),
        (nn.Conv2d(3, 8, 3, padding=1), {"exact": True}, "direct convolutions alone play: exact=True"),
        (nn.Conv2d(3, 8, 5, padding=2), {}, "as 'onednn' plays this network: .* pads by more than one pixel"),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), {}, "no convolution of this network is 3x3 of stride 1"),
    ],
    ids=["onednn", "reference", "exact", "unsupported_plan", "stride"],
)
def test_nothing_to_tune_is_told_in_one_sentence(module, options, sentence):
    if NO_NATIVE and options.get("executor") is None:
        pytest.skip(NO_NATIVE)
    fast = optimize(nn.Sequential(module), **options)
    with pytest.raises(RuntimeError, match=f"there is nothing to tune.*{sentence}"):
        fast.tune(torch.randn(1, 3, 9, 9))
